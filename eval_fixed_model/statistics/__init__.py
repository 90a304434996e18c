"""Statistics of scores: verdicts, what they rest on, and what a budget can find."""

from eval_fixed_model.statistics.bank import Bank, bank_of
from eval_fixed_model.statistics.items import TaskDifference, task_difference
from eval_fixed_model.statistics.judge import detectable, mean_intervals, verdict
from eval_fixed_model.statistics.looks import Look, spent
from eval_fixed_model.statistics.nested import verdict_over_pools
from eval_fixed_model.statistics.records import (
    Analysis,
    Answer,
    ArmRuns,
    BankUse,
    Better,
    Contrast,
    Draw,
    Levels,
    LookTaken,
    Pairing,
    Spread,
    Verdict,
)
from eval_fixed_model.statistics.seeds import pairing
from eval_fixed_model.statistics.signal import Averaging, TaskSignal, averaging, signal_to_noise

__all__ = [
    "Analysis",
    "Answer",
    "ArmRuns",
    "Averaging",
    "Bank",
    "BankUse",
    "Better",
    "Contrast",
    "Draw",
    "Levels",
    "Look",
    "LookTaken",
    "Pairing",
    "Spread",
    "TaskDifference",
    "TaskSignal",
    "Verdict",
    "averaging",
    "bank_of",
    "detectable",
    "mean_intervals",
    "pairing",
    "signal_to_noise",
    "spent",
    "task_difference",
    "verdict",
    "verdict_over_pools",
]
