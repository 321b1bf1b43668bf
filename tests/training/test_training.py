"""The words of recipes against PyTorch's own classes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn, optim
from torch.nn import functional

import netdsl
from netdsl.ir.deciding import taught
from netdsl.recipe import words as recipe
from netdsl.recipe.settings import Settings
from netdsl.training.losses import make_loss
from netdsl.training.optimizers import OPTIMIZERS, make_optimizer, make_schedule
from netdsl.training.samples.batches import Batches, Samples, shuffled

OPTIMIZER_CASES = [
    (recipe.Sgd(lr=0.1), lambda p: optim.SGD(p, 0.1)),
    (recipe.Sgd(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2),
     lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True, weight_decay=1e-2)),
    (recipe.Adagrad(), optim.Adagrad),
    (recipe.Adadelta(rho=0.8), lambda p: optim.Adadelta(p, rho=0.8)),
    (recipe.RmsProp(alpha=0.9, momentum=0.5), lambda p: optim.RMSprop(p, alpha=0.9, momentum=0.5)),
    (recipe.Adam(lr=0.01, beta1=0.5), lambda p: optim.Adam(p, 0.01, betas=(0.5, 0.999))),
    (recipe.AdamW(weight_decay=0.1), lambda p: optim.AdamW(p, weight_decay=0.1)),
]  # fmt: skip


def test_every_optimizer_has_a_case():
    assert {type(word) for word, _ in OPTIMIZER_CASES} == set(recipe.WORDS["optimizer"].values()) == set(OPTIMIZERS)


@pytest.mark.parametrize(("word", "peer"), OPTIMIZER_CASES, ids=lambda case: getattr(case, "kind", None))
def test_optimizers_step_as_torch_does(word, peer):
    ours, theirs = nn.Linear(4, 3), nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 4)
    for module, optimizer in ((ours, make_optimizer(word, ours.parameters())), (theirs, peer(theirs.parameters()))):
        for _ in range(3):
            optimizer.zero_grad()
            module(x).square().sum().backward()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)


SCHEDULE_CASES = [
    (recipe.ConstantRate(), lambda _: 1.0),
    (recipe.Step(every=6), lambda epoch: 0.1 ** (epoch // 6)),
    (recipe.Milestones(at=(3, 8), factor=0.5), lambda epoch: 0.5 ** ((epoch >= 3) + (epoch >= 8))),
    (recipe.TimeDecay(decay=0.3), lambda epoch: 1 / (1 + 0.3 * epoch)),
    (recipe.Exponential(factor=0.9), lambda epoch: 0.9**epoch),
    (recipe.Linear(), lambda epoch: 1 - epoch / 20),
    (recipe.Cosine(), lambda epoch: (1 + math.cos(math.pi * epoch / 20)) / 2),
    (recipe.Plateau(patience=3), lambda epoch: 0.1 ** ((epoch - 1) // 4) if epoch else 1.0),  # nothing gets better
]


def test_every_schedule_has_a_case():
    assert {type(word) for word, _ in SCHEDULE_CASES} == set(recipe.WORDS["schedule"].values())


@pytest.mark.parametrize(("word", "formula"), SCHEDULE_CASES, ids=lambda case: str(case)[:12])
def test_schedules_follow_their_formula_over_20_epochs(word, formula):
    optimizer = make_optimizer(recipe.Sgd(lr=2.0), nn.Linear(1, 1).parameters())
    schedule = make_schedule(word, optimizer, 20)
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if isinstance(schedule, optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(1.0)
        elif schedule is not None:
            schedule.step()
    assert rates == pytest.approx([2.0 * formula(epoch) for epoch in range(20)])


SCORES, CLASSES = torch.randn(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
HOT = functional.one_hot(CLASSES, 4).float()
LOSS_CASES = [
    (recipe.CrossEntropy(), "identity", functional.cross_entropy(SCORES, CLASSES)),
    (recipe.CrossEntropy(label_smoothing=0.1), "identity",
     functional.cross_entropy(SCORES, CLASSES, label_smoothing=0.1)),
    (recipe.NegativeLogLikelihood(), "identity", functional.nll_loss(SCORES, CLASSES)),
    (recipe.BinaryCrossEntropy(), "identity", functional.binary_cross_entropy_with_logits(SCORES, HOT)),
    (recipe.BinaryCrossEntropy(), "sigmoid", functional.binary_cross_entropy_with_logits(SCORES, HOT)),
    (recipe.Quadratic(), "identity", (SCORES - HOT).square().sum(1).mean() / 2),
]  # fmt: skip


def test_every_loss_has_a_case():
    assert {type(word) for word, _, _ in LOSS_CASES} == set(recipe.WORDS["loss"].values())


@pytest.mark.parametrize(("word", "last", "expected"), LOSS_CASES)
def test_losses_are_torchs(word, last, expected):
    graph = netdsl.loads(f"net n {{ input x: 4; {last} }}").graph
    scores = SCORES.sigmoid() if last == "sigmoid" else SCORES
    torch.testing.assert_close(make_loss(word, taught(graph, word)["output"])(scores, CLASSES), expected)


def test_settings_take_what_a_recipe_says_and_defaults_else():
    graph = netdsl.loads("""net n { input x: 4; dense 2
        train { optimizer adam lr=0.5; batch 7; augment flip, crop 3; clip 2.0; init he } }""").graph
    settings = Settings.of(graph.recipe)
    expected = replace(Settings(), optimizer=recipe.Adam(lr=0.5), batch=7, clip=2.0, init=recipe.He(),
                       augment=(recipe.Flip(), recipe.RandomCrop(3)))  # fmt: skip
    assert settings == expected
    assert Settings.of(None) == Settings()


@pytest.mark.parametrize(("count", "size", "world"), [(10, 5, 1), (10, 4, 1), (12, 3, 2), (11, 2, 3), (3, 4, 2)])
def test_processes_share_the_batches_of_an_epoch(count, size, world):
    samples = Samples(torch.arange(count), torch.arange(count))
    order = shuffled(count, seed=1, epoch=2)
    shares = [list(Batches(samples, size, order, rank=rank, world=world)) for rank in range(world)]
    assert {len(share) for share in shares} == {len(Batches(samples, size, order, world=world))}
    together = [torch.cat([x for x, _ in group]).unique() for group in zip(*shares, strict=True)]
    for start, group in zip(range(0, count, size * world), together, strict=True):
        assert torch.equal(group, order[start : start + size * world].sort().values)
