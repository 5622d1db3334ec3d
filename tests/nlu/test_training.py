"""What an operator learns from a training."""

from __future__ import annotations

from pathlib import Path

from nlu.training import last_report, train
from tests.nlu.test_evaluation import TRAIN, write

STEPS = ["reading", "features", "rehearsal", "fitting", "calibration", "done"]


def test_the_report_tells_what_changed(tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    write(data / "a.tsv", TRAIN)
    told: list[tuple[str, float]] = []
    first = train(data, cache, progress=lambda what, far: told.append((what, far)))
    assert [what for n, (what, _) in enumerate(told) if n == 0 or told[n - 1][0] != what] == STEPS
    assert [far for _, far in told] == sorted(far for _, far in told)
    assert first.path.is_file()
    assert first.report.accuracy_before is None
    assert {scarce.intent: scarce.has for scarce in first.report.scarce}["greet"] == {"zh": 4, "en": 2}

    write(data / "b.tsv", {"greet": ["你好", "您好呀"]})
    second = train(data, cache)
    assert (second.report.examples, second.report.examples_before) == (20, 18)
    assert (
        second.report.accuracy_before
        == first.report.accuracy
        == last_report(tmp_path / "none").get("accuracy", first.report.accuracy)
    )
    assert "你好 = 你好" in second.report.repeated
    assert not first.path.exists()


def test_a_mislabelled_example_is_suspected(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    refunds = [f"我要退款{n}" for n in "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥天地玄黄"]
    sizes = [f"这件衣服穿几码{n}" for n in "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥天地玄黄"]
    write(data / "a.tsv", {"refund": refunds, "size": [*sizes, "我要退款谢谢"]})
    report = train(data, tmp_path / "cache").report
    assert [(s.text, s.intent, s.rather) for s in report.suspects] == [("我要退款谢谢", "size", "refund")]
    assert (report.confusions[0].intent, report.confusions[0].taken_for, report.confusions[0].times) == (
        "size",
        "refund",
        1,
    )
