import math

import pytest
import torch
from torch.nn import functional

from edge.charset import CHARSET
from personalize import recipe
from personalize.dataset import IGNORE, Batch
from personalize.loss import decoder_loss

ALIGN = recipe.load("streaming").align
K, BLANK = CHARSET.num_classes, CHARSET.blank


def batch(due, counts, emissions=None, skip=0, classes=None):
    due = torch.tensor(due)
    if classes is None:
        classes = [3] * sum(counts)
    return Batch(
        frames=torch.zeros(len(due), 1, 2, 16, 33),
        emissions=torch.tensor(emissions or [due.shape[1]] * len(due)),
        skip=skip,
        classes=torch.tensor(classes),
        counts=torch.tensor(counts),
        due=due,
    )


def emissions(classes, confidence=8.0):
    """(1, T, K) log-probabilities that favour one class at each emission."""
    logits = torch.zeros(1, len(classes), K)
    logits[0, range(len(classes)), classes] = confidence
    return logits.log_softmax(-1).requires_grad_()


def test_ctc_is_the_sum_over_alignments():
    # Two emissions, one key: "k-", "-k" and "kk" with uniform probabilities.
    uniform = torch.zeros(1, 2, K).log_softmax(-1)
    loss = decoder_loss(uniform, batch([[BLANK, 3]], [1]), None, 0.0)
    assert loss.item() == pytest.approx(-math.log(3 / K**2), abs=1e-4)


def test_the_aligned_part_prefers_the_key_where_it_is_due():
    due = [[BLANK, 3, 3, BLANK]]
    there = decoder_loss(emissions([BLANK, 3, 3, BLANK]), batch(due, [1]), ALIGN, 0.0)
    late = decoder_loss(emissions([BLANK, BLANK, BLANK, 3]), batch(due, [1]), ALIGN, 0.0)
    ctc_there, ctc_late = (
        decoder_loss(emissions(c), batch(due, [1]), None, 0.0)
        for c in ([BLANK, 3, 3, BLANK], [BLANK, BLANK, BLANK, 3])
    )
    assert abs(ctc_there - ctc_late) < 0.05, "to CTC it is all one"
    assert there < 0.5 < late


def test_the_aligned_part_fades_after_the_first_part_of_the_run():
    found = emissions([BLANK, BLANK, BLANK, 3])
    due = batch([[BLANK, 3, 3, BLANK]], [1])
    early, late = (decoder_loss(found, due, ALIGN, progress) for progress in (0.59, 0.61))
    ctc = decoder_loss(found, due, None, 0.0)
    weights = (ALIGN.early_weight, ALIGN.late_weight)
    assert weights[0] > weights[1]
    # loss = (1 - w) ctc + w * aligned: two weights give the aligned part twice.
    aligned = [(loss - (1 - w) * ctc) / w for loss, w in zip((early, late), weights, strict=True)]
    assert aligned[0].item() == pytest.approx(aligned[1].item(), rel=1e-4)


def test_a_window_without_key_times_is_left_to_ctc():
    found = emissions([BLANK, 3, BLANK])
    prompted = batch([[IGNORE] * 3], [1])
    assert decoder_loss(found, prompted, ALIGN, 0.0) == decoder_loss(found, prompted, None, 0.0)


def test_what_lies_outside_the_core_has_no_part_in_the_loss():
    found = torch.randn(1, 9, K, generator=torch.Generator().manual_seed(0)).log_softmax(-1).requires_grad_()
    decoder_loss(found, batch([[BLANK, 3, 3, BLANK]], [1], skip=3), ALIGN, 0.0).backward()
    touched = (found.grad != 0).any(-1)[0]
    assert touched.tolist() == [False] * 3 + [True] * 4 + [False] * 2


def test_a_shorter_core_ends_where_it_ends():
    found = torch.randn(1, 4, K, generator=torch.Generator().manual_seed(0)).log_softmax(-1).requires_grad_()
    decoder_loss(found, batch([[BLANK, 3, IGNORE, IGNORE]], [1], emissions=[2]), ALIGN, 0.0).backward()
    assert (found.grad != 0).any(-1)[0].tolist() == [True, True, False, False]


def test_windows_count_alike_however_much_was_typed_in_them():
    one = functional.log_softmax(torch.randn(1, 6, K, generator=torch.Generator().manual_seed(1)), -1)
    alone = [decoder_loss(one, batch([[IGNORE] * 6], [n], classes=list(range(n))), None, 0.0) for n in (1, 3)]
    both = decoder_loss(
        one.repeat(2, 1, 1), batch([[IGNORE] * 6] * 2, [1, 3], classes=[0, 0, 1, 2]), None, 0.0
    )
    assert both.item() == pytest.approx((alone[0] + alone[1]).item() / 2, rel=1e-5)


def test_windows_without_a_key_and_impossible_ones_stay_finite():
    found = emissions([BLANK, 3])
    assert torch.isfinite(decoder_loss(found, batch([[BLANK, BLANK]], [0], classes=[]), ALIGN, 0.0))
    assert torch.isfinite(decoder_loss(found, batch([[IGNORE] * 2], [3]), ALIGN, 0.0))
