"""Data are found, read as their makers wrote them, held to the net, and given out as `netdsl run` would see them."""

import gzip
import struct
import subprocess
import sys
from dataclasses import replace
from unicodedata import normalize

import numpy as np
import pytest
import torch
from PIL import Image

import netdsl
from netdsl.base.diagnostics import NetdslError
from netdsl.data.splits import held_out
from netdsl.recipe import words as recipe
from netdsl.recipe.settings import Settings
from netdsl.runtime.preparation import Preparation, load_picture
from netdsl.runtime.session import Port
from netdsl.training.samples.batches import Samples, shuffled
from netdsl.training.samples.moments import Moments
from netdsl.training.samples.opening import open_data
from netdsl.training.samples.pictures import Pictures

SMALL = replace(Settings(), batch=2)


def net(shape, classes, extra=""):
    first = "embedding 9 4 -> " if "int64" in shape else ""
    return netdsl.loads(f"net n {{ {extra}\n input x: {shape}; {first}flatten -> dense {classes} }}").graph


def bytes_of(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_idx(path, array):
    data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def mnist(folder, count=12, classes=3, ending="", prefix="", test="t10k"):
    """A data set of MNIST's form; its training images and labels."""
    folder.mkdir(exist_ok=True)
    images, labels = bytes_of(count, 5, 6), np.arange(count, dtype=np.uint8) % classes
    for split, number in (("train", count), (test, 6)):
        write_idx(folder / f"{prefix}{split}-images-idx3-ubyte{ending}", images[:number])
        write_idx(folder / f"{prefix}{split}-labels-idx1-ubyte{ending}", labels[:number])
    return images, labels


def cifar(folder, hundred=False):
    """Records of 3 x 32 x 32 bytes; the training images, channels first, and labels."""
    folder.mkdir(exist_ok=True)
    images, labels = bytes_of(10, 3 * 32 * 32), np.arange(10, dtype=np.uint8) % 2
    coarse = np.full((10, 1 if hundred else 0), 7, np.uint8)
    records = np.concatenate([coarse, labels[:, None], images], 1)
    if hundred:
        for name in ("train.bin", "test.bin"):
            (folder / name).write_bytes(records.tobytes())
    else:
        for number in range(5):
            (folder / f"data_batch_{number + 1}.bin").write_bytes(records[2 * number : 2 * number + 2].tobytes())
        (folder / "test_batch.bin").write_bytes(records[:4].tobytes())
    (folder / ("fine_label_names.txt" if hundred else "batches.meta.txt")).write_text("cat\ndog\n\n")
    return images.reshape(10, 3, 32, 32), labels


def pictures(folder, count=6, size=(7, 9), classes=("cat", "dog"), mode="RGB"):
    """PNG files, `count` of each class."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
            Image.fromarray(bytes_of(*shape, seed=10 * number + index)).save(folder / name / f"{index}.png")


def everything(part):
    """All inputs and targets of a split."""
    inputs, targets = zip(*part.batches(4), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def problem(code, call):
    with pytest.raises(NetdslError) as error:
        call()
    (first, *_) = error.value.diagnostics
    assert first.code == code
    assert first.help
    return str(error.value)


# ------------------------------------------------------------------------------------------------------ sources


def test_digits_are_those_of_scikit_learn_with_every_fifth_of_a_class_held_out():
    from sklearn.datasets import load_digits

    data = open_data("digits", net("1x8x8", 10))
    bunch = load_digits()
    held = [n for digit in range(10) for n in np.flatnonzero(bunch.target == digit)[4::5]]
    rest = sorted(set(range(1797)) - set(held))
    assert (len(data.train), len(data.val), data.test) == (len(rest), len(held), None) == (1442, 355, None)
    inputs, targets = everything(data.train)
    assert targets.tolist() == bunch.target[rest].tolist()
    np.testing.assert_allclose(inputs[:, 0], bunch.images[rest] / 16, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_files_of_mnists_form_are_read(tmp_path, ending):
    images, labels = mnist(tmp_path, ending=ending)
    data = open_data(tmp_path, net("1x5x6", 3), SMALL)
    inputs, targets = everything(data.train)
    np.testing.assert_array_equal(inputs[:, 0], images.astype(np.float32) * np.float32(1 / 255))
    assert targets.tolist() == labels.tolist()
    assert (len(data.train), len(data.val), data.test, data.labels) == (12, 6, None, ())


def test_images_of_emnist_are_turned_upright(tmp_path):
    images, _ = mnist(tmp_path, prefix="emnist-letters-", test="test")
    inputs, _ = everything(open_data(tmp_path, net("1x6x5", 3), SMALL).train)
    np.testing.assert_allclose(inputs[:, 0], images.transpose(0, 2, 1) / 255, rtol=1e-6)


@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_is_read_with_its_names(tmp_path, hundred):
    images, labels = cifar(tmp_path, hundred)
    data = open_data(tmp_path, net("3x32x32", 2), SMALL)
    inputs, targets = everything(data.train)
    np.testing.assert_allclose(inputs, images / 255, rtol=1e-6)
    assert targets.tolist() == labels.tolist()
    assert data.labels == ("cat", "dog")


@pytest.mark.parametrize("most_bytes", [10**9, 0])
def test_pictures_are_what_netdsl_run_sees(tmp_path, most_bytes):
    pictures(tmp_path)
    graph = net("3x8x8", 2)
    data = open_data(tmp_path, graph, SMALL, val=0.5, most_bytes=most_bytes)
    assert isinstance(data.train, Samples if most_bytes else Pictures)
    assert (len(data.train), len(data.val), data.labels) == (6, 6, ("cat", "dog"))
    port = Port("x", ("N", 3, 8, 8), "float32")
    files = {n: [load_picture(p, port, Preparation()) for p in (tmp_path / n).iterdir()] for n in ("cat", "dog")}
    seen = 0
    for part in (data.train, data.val):
        for image, target in zip(*everything(part), strict=True):
            assert any(np.array_equal(image, known) for known in files[data.labels[target]])
            seen += 1
    assert seen == 12


def test_folders_train_val_and_test_are_splits(tmp_path):
    for number, split in enumerate(("train", "valid", "test")):
        pictures(tmp_path / split, count=3 - number)
    graph = net("1x9x7", 2)
    assert [len(p) for p in split_of(open_data(tmp_path, graph, SMALL))] == [6, 4, 2]
    assert [len(p) for p in split_of(open_data(tmp_path, graph, SMALL, val=1 / 3))] == [4, 2, 2]


def split_of(data):
    return [part for part in (data.train, data.val, data.test) if part is not None]


def test_grey_images_become_coloured_and_coloured_ones_grey(tmp_path):
    images, _ = mnist(tmp_path / "grey")
    inputs, _ = everything(open_data(tmp_path / "grey", net("3x5x6", 3), SMALL).train)
    np.testing.assert_allclose(inputs, np.repeat(images[:, None], 3, 1) / 255, rtol=1e-6)
    images, _ = cifar(tmp_path / "colour")
    inputs, _ = everything(open_data(tmp_path / "colour", net("1x32x32", 2), SMALL).train)
    luma = (images * np.array([0.299, 0.587, 0.114])[:, None, None]).sum(1)  # ITU-R BT.601
    np.testing.assert_allclose(inputs[:, 0], luma / 255, atol=1 / 255)


NPZ = {
    "keras": {"x_train": bytes_of(8, 4, 4), "y_train": np.arange(8)[:, None] % 2, "x_test": bytes_of(2, 4, 4),
              "y_test": np.arange(2)},
    "channels last": {"images": bytes_of(8, 4, 4, 1), "labels": np.arange(8) % 2},
    "channels first": {"x": bytes_of(8, 1, 2, 8), "y": (np.arange(8) % 2).astype(np.float32)},
    "numbers": {"x": bytes_of(8, 4, 4).astype(np.float64), "y": np.arange(8) % 2 == 1,
                "names": np.array(["even", "odd"])},
}  # fmt: skip


@pytest.mark.parametrize("kind", NPZ)
def test_archives_are_read(tmp_path, kind):
    np.savez(tmp_path / "a.npz", **NPZ[kind])
    shape = (1, 2, 8) if kind == "channels first" else (1, 4, 4)
    data = open_data(tmp_path / "a.npz", net("x".join(map(str, shape)), 2), SMALL, val=0.25)
    inputs = torch.cat([everything(part)[0] for part in (data.train, data.val)])
    expected = next(array for name, array in NPZ[kind].items() if name[0] in "xi").reshape(8, *shape)
    expected = expected.astype(np.float32) * (1 if kind == "numbers" else np.float32(1 / 255))
    assert {x.numpy().tobytes() for x in inputs} == {x.tobytes() for x in expected}
    assert (len(data.train), len(data.val), data.test is None) == (6, 2, kind != "keras")
    assert data.labels == (("even", "odd") if kind == "numbers" else ())
    inputs, targets = everything(data.train)
    numbers = {x.tobytes(): n % 2 for n, x in enumerate(expected)}
    assert targets.tolist() == [numbers[x.numpy().tobytes()] for x in inputs]


def test_truth_values_of_several_labels_are_floats(tmp_path):
    truth = bytes_of(6, 3) % 2
    np.savez(tmp_path / "a.npz", x_train=np.ones((6, 5), np.float32), y_train=truth, x_test=np.ones((2, 5)),
             y_test=truth[:2])  # fmt: skip
    _, targets = everything(open_data(tmp_path / "a.npz", net("5", 3), SMALL).train)
    assert targets.dtype is torch.float32
    np.testing.assert_array_equal(targets, truth)


def test_tokens_stay_whole_numbers_and_have_a_class_at_each_position(tmp_path):
    graph = netdsl.loads("net n { input x: [T] int64; embedding 9 4 -> dense 3 -> transpose [1, 0] }").graph
    np.savez(tmp_path / "a.npz", x=np.arange(60).reshape(10, 6) % 9, y=np.arange(60).reshape(10, 6) % 3)
    data = open_data(tmp_path / "a.npz", graph, SMALL)
    inputs, targets = everything(data.train)
    assert (inputs.dtype, targets.dtype, targets.shape) == (torch.int64, torch.int64, (8, 6))
    assert (data.mean, data.std) == ((), ())


TABLES = {
    "named classes": ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,virginica\n", (5.1, 3.5), 0, ("setosa", "virginica")),
    "a head": ("length,width,kind\n5.1,3.5,1\n4.9,3.0,0\n1,2,1\n", (5.1, 3.5), 1, ()),
    "a column `label`": ("\ufefflabel,0,1\n1, 5.1,3.5\n0,1,1\n\n1,2,2\n", (5.1, 3.5), 1, ()),
    "quotes": ('"a","b","label"\r\n"5.1","3.5","x"\r\n"1","2","y"\r\n1,2,y\r\n', (5.1, 3.5), 0, ("x", "y")),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_are_read(tmp_path, kind):
    text, row, target, labels = TABLES[kind]
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    data = open_data(tmp_path / "t.csv", net("2", 2), SMALL, val=0.5)
    inputs, targets = (torch.cat(parts) for parts in zip(everything(data.train), everything(data.val), strict=True))
    place = next(n for n, x in enumerate(inputs) if np.allclose(x, row))
    assert (len(inputs), targets[place], data.labels) == (3, target, labels)


def test_reading_needs_no_pytorch():
    code = "import sys, netdsl.data.reading as r; r.read_data('digits'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------------ splits, order


def test_a_fraction_of_each_class_is_held_out_the_same_for_a_seed():
    targets = np.repeat([0, 1, 2], [50, 20, 2])
    held = held_out(targets, 0.2, seed=1, classes=True)
    assert np.bincount(targets[held], minlength=3).tolist() == [10, 4, 0]
    assert np.array_equal(held, held_out(targets, 0.2, seed=1, classes=True))
    assert not np.array_equal(held, held_out(targets, 0.2, seed=2, classes=True))
    assert held_out(np.zeros((40, 3)), 0.25, seed=1, classes=True).sum() == 10


@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_values_are_held_out_from_all_samples_together(tmp_path, column, whole):
    """One class for each value would hold out none of the values that occur once or twice."""
    values = np.random.default_rng(0).normal(40, 10, 100)
    values = np.rint(values) if whole else values
    np.savez(tmp_path / "a.npz", x=np.ones((100, 4), np.float32), y=np.stack([values] * (1 if column else 2), 1))
    loss = f"dense {1 if column else 2}; train {{ loss quadratic }}"
    graph = netdsl.loads(f"net n {{ input x: 4; {loss} }}").graph
    data = open_data(tmp_path / "a.npz", graph, replace(SMALL, loss=recipe.Quadratic()))
    assert (len(data.train), len(data.val)) == (80, 20)
    assert np.isin(everything(data.val)[1][:, 0], values.astype(np.float32)).all()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 3])
def test_images_read_late_come_as_those_in_memory_do(tmp_path, workers, world):
    pictures(tmp_path, count=10)
    graph = net("3x8x8", 2)
    kept = open_data(tmp_path, graph, SMALL).train
    late = open_data(tmp_path, graph, SMALL, most_bytes=0, workers=workers).train
    assert isinstance(late, Pictures)
    order = shuffled(len(kept), 3, 4)
    before = torch.random.get_rng_state()
    for rank in range(world):
        ours, theirs = (part.batches(3, order, rank=rank, world=world) for part in (late, kept))
        assert len(ours) == len(theirs) == len(list(ours))
        for (x, y), (a, b) in zip(ours, theirs, strict=True):
            assert torch.equal(x, a)
            assert torch.equal(y, b)
    assert torch.equal(torch.random.get_rng_state(), before)


# ------------------------------------------------------------------------------------------------------ statistics


def test_moments_are_those_of_torch_however_large_the_mean():
    values = torch.randn(101, 3, 5) * torch.tensor([[[1.0], [2.0], [0.01]]]) + torch.tensor([[[0.0], [1e4], [5.0]]])
    moments = Moments(3)
    for piece in values.split(17):
        moments.add(piece)
    mean, std = moments.result(2.0)
    rows = values.double().transpose(0, 1).flatten(1) * 2
    torch.testing.assert_close(torch.tensor(mean), rows.mean(1).float())
    torch.testing.assert_close(torch.tensor(std), rows.std(1, unbiased=False).float())


def test_a_constant_channel_has_the_deviation_1():
    moments = Moments(2)
    moments.add(torch.full((1000, 2, 3), 0.1))
    assert moments.result()[1] == (1.0, 1.0)


@pytest.mark.parametrize("most_bytes", [10**9, 0])
def test_statistics_standardize_the_training_data(tmp_path, most_bytes):
    cifar(tmp_path)
    data = open_data(tmp_path, net("3x20x20", 2), SMALL, most_bytes=most_bytes)
    inputs, _ = everything(data.train)
    rows = inputs.transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.tensor(data.mean), rows.mean(1))
    torch.testing.assert_close(torch.tensor(data.std), rows.std(1, unbiased=False))


def test_crops_get_larger_images_for_training_alone(tmp_path):
    pictures(tmp_path, size=(40, 50))
    for crop, size in ((recipe.RandomCrop(28), 32), (recipe.RandomCrop(28, pad=4), 28)):
        data = open_data(tmp_path, net("3x28x28", 2), replace(SMALL, augment=(crop,)))
        shapes = [next(iter(part.batches(1)))[0].shape for part in (data.train, data.val)]
        assert shapes == [(1, 3, size, size), (1, 3, 28, 28)]


def test_open_sizes_are_given_or_those_of_the_crop(tmp_path):
    pictures(tmp_path)
    graph = netdsl.loads("net n { input x: 3xHxW where H % 4 == 0, W >= 3; conv 2 k3; global_avgpool; flatten }").graph
    data = open_data(tmp_path, graph, replace(SMALL, augment=(recipe.RandomCrop(8, pad=1),)))
    assert next(iter(data.val.batches(1)))[0].shape == (1, 3, 8, 8)
    data = open_data(tmp_path, graph, SMALL, sizes={"H": 8, "W": 6})
    assert next(iter(data.val.batches(1)))[0].shape == (1, 3, 8, 6)
    assert "`--size H=224`" in problem("E1008", lambda: open_data(tmp_path, graph, SMALL))
    assert "H % 4 == 0" in problem("E1008", lambda: open_data(tmp_path, graph, SMALL, sizes={"H": 6, "W": 6}))


# ------------------------------------------------------------------------------------------------------ what is wrong


def test_an_unreadable_image_is_named_or_left_out(tmp_path):
    pictures(tmp_path, count=5)
    (tmp_path / "dog" / "2.png").write_bytes((tmp_path / "dog" / "2.png").read_bytes()[:90])
    (tmp_path / "cat" / "4.png").write_bytes(b"")
    graph = net("3x8x8", 2)
    for most_bytes in (10**9, 0):
        text = problem("E1005", lambda most=most_bytes: open_data(tmp_path, graph, SMALL, most_bytes=most))
        assert "4.png" in text or "2.png" in text
        assert "--skip-bad" in text
        data = open_data(tmp_path, graph, SMALL, val=0.5, skip_bad=True, most_bytes=most_bytes)
        (warning,) = data.skipped
        assert (warning.code, warning.message[:7]) == ("W0110", "2 of 10")
        assert sorted(note.split("`")[1][-5:] for note in warning.notes) == ["2.png", "4.png"]
        assert len(data.train) + len(data.val) == len(everything(data.train)[1]) + len(everything(data.val)[1]) == 8


def test_an_image_that_goes_bad_later_is_named_out_of_a_worker(tmp_path):
    pictures(tmp_path, count=5)
    train = open_data(tmp_path, net("3x8x8", 2), SMALL, most_bytes=0, workers=1).train
    train.images[0].write_bytes(b"no")
    assert str(train.images[0]) in problem("E1005", lambda: everything(train))


def idx_with(change):
    def make(folder):
        mnist(folder)
        change(folder)
        return folder

    return make


def cut(name, size):
    def change(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:size])

    return change


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def gzipped_and_cut(folder):
    data = gzip.compress((folder / IMAGES).read_bytes())
    (folder / IMAGES).unlink()
    (folder / f"{IMAGES}.gz").write_bytes(data[:-20])


def npz(**arrays):
    def make(folder):
        np.savez(folder / "a.npz", **arrays)
        return folder / "a.npz"

    return make


def table(text):
    def make(folder):
        (folder / "t.csv").write_text(text)
        return folder / "t.csv"

    return make


def folders(*change):
    def make(folder):
        pictures(folder)
        for act in change:
            act(folder)
        return folder

    return make


GREY = "1x5x6"
X, Y = np.ones((8, 4), np.float32), np.arange(8) % 2
BROKEN = {
    "nothing there": ("E1001", "1x5x6", 3, lambda f: f / "nowhere", "no file or directory"),
    "an empty directory": ("E1001", GREY, 3, lambda f: f, "holds nothing"),
    "CIFAR for Python": ("E1001", GREY, 3, lambda f: ((f / "batches.meta").write_bytes(b""), f)[1], "binary version"),
    "another file": ("E1001", GREY, 3, lambda f: ((f / "a.txt").write_text(""), f / "a.txt")[1], ".npz` or `.csv"),
    "cut images": ("E1002", GREY, 3, idx_with(cut(IMAGES, 300)), "12x5x6 = 360 bytes, and 284 follow"),
    "cut head": ("E1002", GREY, 3, idx_with(cut(LABELS, 6)), "within its head"),
    "an empty file": ("E1002", GREY, 3, idx_with(cut(LABELS, 0)), "cut short"),
    "bytes to spare": ("E1002", GREY, 3, idx_with(lambda f: (f / IMAGES).write_bytes((f / IMAGES).read_bytes() + b"x")),
                       "is too long"),
    "wrong magic": ("E1002", GREY, 3, idx_with(lambda f: (f / IMAGES).write_bytes((f / LABELS).read_bytes())),
                    "must begin with the bytes 0 0 8 3, but begins with 0 0 8 1"),
    "an endless head": ("E1002", GREY, 3, idx_with(lambda f: (f / IMAGES).write_bytes(b"\0\0\x08\3" + b"\xff" * 12)),
                        "needs"),
    "cut gzip": ("E1002", GREY, 3, idx_with(gzipped_and_cut), "not a whole gzip file"),
    "no gzip": ("E1002", GREY, 3, idx_with(lambda f: (f / LABELS).rename(f / f"{LABELS}.gz")), "not a whole gzip file"),
    "counts of IDX": ("E1003", GREY, 3, idx_with(lambda f: write_idx(f / LABELS, np.zeros(11, np.uint8))), "12"),
    "no labels": ("E1001", GREY, 3, idx_with(lambda f: (f / LABELS).unlink()), "labels of the train split"),
    "two sets": ("E1001", GREY, 3, idx_with(lambda f: mnist(f, prefix="emnist-digits-", test="test")), "2 data sets"),
    "cut CIFAR": ("E1002", "3x32x32", 2, lambda f: (cifar(f), cut("data_batch_3.bin", 4000)(f), f)[2], "3,073 bytes"),
    "missing batch": ("E1001", "3x32x32", 2, lambda f: (cifar(f), (f / "data_batch_3.bin").unlink(), f)[2], "_3.bin"),
    "class without a name": ("E1004", "3x32x32", 1,
                             lambda f: (cifar(f), (f / "batches.meta.txt").write_text("cat"), f)[2], "to 0, got 1 in"),
    "an empty class": ("E1006", "3x8x8", 3, folders(lambda f: (f / "bird").mkdir()), "`bird`"),
    "other classes": ("E1003", "3x8x8", 2, lambda f: (pictures(f / "train"), pictures(f / "val", classes=("cat",)),
                                                      f)[2], "`dog`"),
    "no train": ("E1001", "3x8x8", 2, lambda f: (pictures(f, classes=("test", "val")), f)[1], "`train`"),
    "two validations": ("E1001", "3x8x8", 2, lambda f: ([pictures(f / s) for s in ("train", "val", "valid")], f)[1],
                        "two names"),
    "an endless class": ("E1004", "2", 2, table("1,2,0\n1,3,1e30\n"), "`1e30`"),
    "no pair": ("E1001", "4", 2, npz(data=X), "`data`"),
    "no targets": ("E1001", "4", 2, npz(x_train=X, y_train=Y, x_test=X), "`y_test`"),
    "counts of npz": ("E1003", "4", 2, npz(x_train=X, y_train=Y[:7]), "got 8 in `x_train` and 7 in `y_train`"),
    "text": ("E1002", "4", 2, npz(x_train=X, y_train=np.array(["a"] * 8)), "must hold numbers in `y_train`"),
    "objects": ("E1002", "4", 2, npz(x=np.array([1, "a"] * 4, object), y=Y), "not a whole archive"),
    "no archive": ("E1002", "4", 2, lambda f: ((f / "a.npz").write_bytes(b"PK"), f / "a.npz")[1], "not a whole"),
    "not finite": ("E1002", "4", 2, npz(x=X * np.where(np.arange(8) == 3, np.nan, 1)[:, None], y=Y), "sample"),
    "negative class": ("E1004", "4", 2, npz(x=X, y=Y - 1), "got -1 in sample 0"),
    "half a class": ("E1004", "4", 2, npz(x=X, y=Y / 2), "got 0.5 in sample 1"),
    "truth of 2": ("E1004", "4", 2, npz(x=X, y=np.stack([Y, Y * 2], 1)), "from 0 to 1"),
    "no samples": ("E1006", "4", 2, npz(x=X[:0], y=Y[:0]), "no samples"),
    "one sample": ("E1006", "4", 1, npz(x=X[:1], y=Y[:1]), "leaves none on one side"),
    "ragged table": ("E1002", "2", 2, table("1,2,0\n1,0\n"), "t.csv:2:1"),
    "no number": ("E1002", "2", 2, table("1,2,0\n1,x,0\n"), "in the column `number 2`, got `x`"),
    "a column of text": ("E1002", "2", 2, table("label,size,colour\n0,1,red\n1,2,blue\n"), "`colour`, got `red`"),
    "classes from 1": ("E1004", "2", 3, table("1,2,1\n1,3,2\n2,2,3\n" * 5), "numbered from 0, got 1 to 3"),
    "classes from 5": ("E1004", "4", 2, npz(x=X, y=Y + 5), "got 5 to 6"),
    "an empty cell": ("E1002", "2", 2, table("1,2,0\n\n,3,0\n"), "t.csv:3:1"),
    "not a number": ("E1002", "2", 2, table("1,2,0\n1,nan,0\n"), "`nan`"),
    "too large a number": ("E1002", "2", 2, table("1,2,0\n1,1e300,1\n" * 3), "finite in float32"),
    "other separator": ("E1002", "2", 2, table("1;2;0\n1;2;0\n"), "one column"),
    "half a class in a table": ("E1004", "2", 2, table("1,2,0\n1,3,0.5\n"), "`0.5`"),
    "a head alone": ("E1006", "2", 2, table("a,b,label\n"), "no row"),
    "an empty table": ("E1006", "2", 2, table(""), "no row"),
    "not UTF-8": ("E1002", "2", 2, lambda f: ((f / "t.csv").write_bytes(b"\xff\xfe1"), f / "t.csv")[1], "UTF-8"),
    "more classes": ("E1007", GREY, 2, idx_with(lambda _: None), "`--set classes=3`"),
    "fewer classes": ("E1007", GREY, 10, idx_with(lambda _: None), "10 outputs"),
    "targets of another shape": ("E1007", "4", 2, npz(x=X, y=np.ones((8, 3))), "is 3"),
    "images for vectors": ("E1008", "30", 3, idx_with(lambda _: None), "`flatten`"),
    "another vector": ("E1008", "5", 2, npz(x=X, y=Y), "is 4"),
    "floats for tokens": ("E1008", "4 int64", 2, npz(x=X, y=Y), "int64"),
    "strange channels": ("E1008", "1x4x4", 2, npz(x=bytes_of(8, 6, 6, 5), y=Y), "channels"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_said(tmp_path, case):
    code, shape, classes, make, words = BROKEN[case]
    place = make(tmp_path)
    text = problem(code, lambda: open_data(place, net(shape, classes), replace(SMALL, batch=1)))
    assert words in text
    assert str(tmp_path) in text or code == "E1008"


def test_a_batch_must_not_be_larger_than_the_data(tmp_path):
    mnist(tmp_path)
    text = problem("E1006", lambda: open_data(tmp_path, net(GREY, 3), replace(SMALL, batch=13)))
    assert "expected at least 13 training samples, which are a batch, got 12 in `" in text


def test_augmentations_are_refused_before_data_are_read(tmp_path):
    for shape, word in (("1x8x8", recipe.Colour()), ("4", recipe.Flip())):
        problem("E1009", lambda s=shape, w=word: open_data(tmp_path / "none", net(s, 2), replace(SMALL, augment=(w,))))


def test_names_of_classes_must_be_those_of_the_net(tmp_path):
    cifar(tmp_path)
    open_data(tmp_path, net("3x32x32", 2, 'labels ["cat", "dog"]'), SMALL)
    text = problem("E1007", lambda: open_data(tmp_path, net("3x32x32", 2, 'labels ["dog", "cat"]'), SMALL))
    assert "class 0 is called `cat` in the data and `dog` in the net" in text


@pytest.mark.parametrize("name", ["caf\u00e9", "\u00c5land", "\ud55c\uad6d"])
def test_the_spellings_of_a_class_in_unicode_are_one(tmp_path, name):
    composed, parted = normalize("NFC", name), normalize("NFD", name)
    assert composed != parted
    pictures(tmp_path / "one" / "train", classes=(composed, "zebra"))
    pictures(tmp_path / "one" / "val", classes=(parted, "zebra"))
    pictures(tmp_path / "two", classes=(composed, parted, "zebra"))
    table = "".join(f"{number},2,{spelling}\n" for number, spelling in enumerate((composed, parted, "zebra") * 4))
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    labels = {composed, "zebra"}
    spelt = ", ".join(f'"{normalize("NFD", label)}"' for label in sorted(labels))
    for labelled in ("", f"labels [{spelt}]"):
        for source, shape in (("one", "3x8x8"), ("two", "3x8x8"), ("t.csv", "2")):
            data = open_data(tmp_path / source, net(shape, 2, labelled), SMALL)
            assert set(data.labels) == labels
    both = open_data(tmp_path / "two", net("3x8x8", 2), SMALL)
    counts = [np.bincount([*everything(part)[1]], minlength=2) for part in (both.train, both.val)]
    named = both.labels.index(composed)
    assert sum(counts)[named] == 2 * sum(counts)[1 - named]  # the images of both directories


def test_positions_stay_where_arrays_of_numbers_would_be_moved(tmp_path):
    images = np.random.default_rng(0).random((10, 1, 4, 4), np.float32)
    nets = {"conv 2 k1": (images[:, 0] > 0.5).astype(np.int64), "conv 1 k1": images,
            "conv 2 k1 -> avgpool k=[4, 1] -> reshape [2, 4]": (images[:, 0, 0] > 0.5).astype(np.int64)}  # fmt: skip
    for layers, targets in nets.items():
        shape = "1x4x4"
        graph = netdsl.loads(f"net n {{ input x: {shape}; {layers} }}").graph
        np.savez(tmp_path / "a.npz", x=images, y=targets)
        settings = replace(SMALL, loss=recipe.Quadratic()) if targets is images else SMALL
        open_data(tmp_path / "a.npz", graph, settings)
        open_data(tmp_path / "a.npz", graph, replace(settings, augment=(recipe.Contrast(),)))
        for word in (recipe.Flip(), recipe.Shift(0.1), recipe.Rotate(10), recipe.Rescale(0.1)):
            moving = replace(settings, augment=(word,))
            text = problem("E1009", lambda s=moving, g=graph: open_data(tmp_path / "a.npz", g, s))
            assert "would stay" in text


@pytest.mark.parametrize("word", [recipe.Colour(), recipe.Contrast()])
def test_colours_change_only_values_from_0_to_1(tmp_path, word):
    graph, settings = net("3x4x4", 2), replace(SMALL, augment=(word,))
    values = np.random.default_rng(0).random((10, 3, 4, 4), np.float32)
    for good in (values, bytes_of(10, 4, 4, 3)):
        np.savez(tmp_path / "a.npz", x=good, y=np.arange(10) % 2)
        open_data(tmp_path / "a.npz", graph, settings)
    for bad in (values * 255, values - 0.5):
        np.savez(tmp_path / "a.npz", x=bad, y=np.arange(10) % 2)
        assert "expected values from 0 to 1 for" in problem(
            "E1009", lambda: open_data(tmp_path / "a.npz", graph, settings)
        )


def test_a_net_of_two_inputs_has_no_data(tmp_path):
    graph = netdsl.loads("net n { input a: 2; input b: 2; add { @a; @b }; dense 2 }").graph
    assert "`a`, `b`" in problem("E1008", lambda: open_data(tmp_path, graph))


def test_targets_of_positions_must_not_be_parted_from_them(tmp_path):
    graph = netdsl.loads("net n { input x: 1x4x4; conv 2 k1 }").graph
    np.savez(tmp_path / "a.npz", x=bytes_of(10, 4, 4), y=bytes_of(10, 4, 4) % 2)
    assert everything(open_data(tmp_path / "a.npz", graph, SMALL).train)[1].shape == (8, 4, 4)
    problem("E1009", lambda: open_data(tmp_path / "a.npz", graph, replace(SMALL, augment=(recipe.Flip(),))))
    np.savez(tmp_path / "b.npz", x=bytes_of(10, 8, 8), y=bytes_of(10, 4, 4) % 2)
    problem("E1008", lambda: open_data(tmp_path / "b.npz", graph, SMALL))


def saved_as(ending):
    def make(folder):
        pictures(folder, count=5)
        for path in list(folder.rglob("*.png")):
            image = Image.open(path)
            image.load()
            path.unlink()
            image.save(path.with_suffix(ending))
        return folder

    return make


DAMAGED = {
    "idx": (lambda f: (mnist(f), f)[1], GREY, 3),
    "gz": (lambda f: (mnist(f, ending=".gz"), f)[1], GREY, 3),
    "npz": (npz(x_train=X, y_train=Y, names=np.array(["a", "b"])), "4", 2),
    "csv": (table('a,"b",label\n' + '1,2,0\n3.5,"4",1\n' * 6), "2", 2),
    "cifar": (lambda f: (cifar(f), f)[1], "3x32x32", 2),
    **{ending: (saved_as(f".{ending}"), "3x8x8", 2) for ending in ("png", "jpg", "gif", "tiff", "bmp", "webp", "ppm")},
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_read_or_refused(tmp_path, kind):
    make, shape, classes = DAMAGED[kind]
    place, graph, random = make(tmp_path), net(shape, classes), np.random.default_rng(0)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    refused = 0
    for turn in range(24):
        path = files[random.integers(len(files))]
        whole = path.read_bytes()
        data = bytearray(whole[: random.integers(len(whole))] if turn % 3 == 0 else whole)
        for _ in range(turn % 5):
            at = random.integers(min(len(data), 200)) if data else 0
            data[at : at + random.integers(4)] = random.bytes(random.integers(4))
        path.write_bytes(data)
        try:
            open_data(place, graph, SMALL)
        except NetdslError:
            refused += 1
        path.write_bytes(whole)
    assert refused > 4
    open_data(place, graph, SMALL)
