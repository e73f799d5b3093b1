"""Text from a release, and how good it is."""

import json

from train.verbs.words import parser_of, write_json


def generate(words: list[str]) -> int:
    """Text from a release."""
    parser = parser_of("generate", "Text from a release.")
    parser.add_argument("prompt", help="how the text begins")
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--temperature", type=float, default=0.8, help="0 takes the likeliest token each time")
    parser.add_argument("--top-k", type=int, default=50, help="draw from the K likeliest tokens; 0 from all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    from train.sample import Sampling, speak

    sampling = Sampling(max_tokens=given.max_tokens, temperature=given.temperature, top_k=given.top_k, seed=given.seed)
    text = speak(given.release, given.prompt, sampling)
    write_json(given.json, {"prompt": given.prompt, "text": text, "seed": given.seed})
    print("".join(char if char.isprintable() or char in "\n\t" else "�" for char in text))
    return 0


def evaluate(words: list[str]) -> int:
    """Measure a release again."""
    parser = parser_of("evaluate", "Measure a release's bits per byte again, and compare with what it states.")
    given = parser.parse_args(words)
    from train.evaluate import measure_again

    answer = measure_again(given.release)
    write_json(given.json, answer)
    print(json.dumps(answer, indent=2))
    return 0 if answer["same"] else 1
