"""A chat template is a program, which may be anybody's: it is given nothing but what is said, and comes to an end."""

from jinja2 import Template, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

_MOST_TURNS = 100_000  # of all loops and macros in one rendering


class Bounded(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which the turns of loops and macros are counted."""

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        self.globals["raise_exception"] = _refuse
        self._turns = 0

    def compiled(self, text: str) -> Template:
        """The template in a text. Raises TemplateError if it is none."""
        tree = self.parse(text)
        places: list[nodes.For | nodes.Macro] = [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro)]
        for place in places:
            count = nodes.Call(nodes.EnvironmentAttribute("count_turn"), [], [], None, None, lineno=place.lineno)
            place.body.insert(0, nodes.ExprStmt(count, lineno=place.lineno))
        return Template.from_code(self, self.compile(tree), self.make_globals(None))

    def say(self, template: Template, given: dict[str, object]) -> str:
        """The template's text. Raises whatever the template raises, TemplateError if it does not end."""
        self._turns = 0
        return str(template.render(given))

    def count_turn(self) -> None:
        """Called by each turn of a template's loops."""
        self._turns += 1
        if self._turns > _MOST_TURNS:
            raise TemplateError(f"its loops take more than {_MOST_TURNS} turns")


def _refuse(message: object) -> None:
    raise TemplateError(str(message))
