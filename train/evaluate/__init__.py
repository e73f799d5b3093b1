"""Evaluation: bits per byte on the held-out documents, and the 5-gram they are held against; tasks; bias."""

from train.evaluate.again import measure_again
from train.evaluate.answers import Asked, answers_yardstick, evaluate_answers, read_answers
from train.evaluate.baselines import TASKS, Task, answer_without_a_model, score
from train.evaluate.bias import expected_groups
from train.evaluate.bits_per_byte import EvaluateConfig, Measured, Text, evaluate_texts, read_texts
from train.evaluate.chance import MOST_SEEDS, Z, bootstrap, is_within, prediction_bounds
from train.evaluate.exam import ANSWERS, LONGEST, READ, drawn, longest_answer, mark_exam, task_of, write_answers
from train.evaluate.examples import read_examples
from train.evaluate.five_gram import FiveGram, yardstick_bits_per_byte
from train.evaluate.guesses import guess_all, guesses
from train.evaluate.label_scores import score_labels
from train.evaluate.labels import Judged, Said, evaluate_labels, judge_all, labels_yardstick
from train.evaluate.reader import Reader
from train.evaluate.results import LookUp, Score, TaskResult
from train.evaluate.tasks import prepare_tasks, run_tasks

__all__ = [
    "ANSWERS",
    "LONGEST",
    "MOST_SEEDS",
    "READ",
    "TASKS",
    "Asked",
    "EvaluateConfig",
    "FiveGram",
    "Judged",
    "LookUp",
    "Measured",
    "Reader",
    "Said",
    "Score",
    "Task",
    "TaskResult",
    "Text",
    "Z",
    "answer_without_a_model",
    "answers_yardstick",
    "bootstrap",
    "drawn",
    "evaluate_answers",
    "evaluate_labels",
    "evaluate_texts",
    "expected_groups",
    "guess_all",
    "guesses",
    "is_within",
    "judge_all",
    "labels_yardstick",
    "longest_answer",
    "mark_exam",
    "measure_again",
    "prediction_bounds",
    "prepare_tasks",
    "read_answers",
    "read_examples",
    "read_texts",
    "run_tasks",
    "score",
    "score_labels",
    "task_of",
    "write_answers",
    "yardstick_bits_per_byte",
]
