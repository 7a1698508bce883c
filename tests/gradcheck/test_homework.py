"""python -m gradcheck on somebody's homework: files, directories, exceptions, endless loops."""

import json
import re
import sys
import warnings
from pathlib import Path

import pytest

from gradcheck.__main__ import main
from gradcheck.homework import run_homework
from gradcheck.source import open_source
from tests.gradcheck.plants import DX

TEXT = (Path(__file__).parent / "homework.py").read_text()
CLASSES = {
    re.match(r"class (\w+)", part).group(1): part
    for part in re.split(r"\n\n\n(?=class )", TEXT)[1:]
}
FILES = {
    "activation": ("ReLU", "Sigmoid", "Tanh"),
    "loss": ("SoftmaxCrossEntropy",),
    "linear": ("Linear",),
    "batchnorm": ("BatchNorm",),
}

NO_SWITCH = "evaluation mode, to which there is no switch"

IMPORTS = "".join(f"from {name} import *\n" for name in FILES)


def write_homework(folder, beside=False, edits=()):
    """The course's layout: hw1/hw1.py and mytorch/…, or all files beside hw1.py."""
    own = folder if beside else folder / "hw1"
    others = folder if beside else folder / "mytorch"
    own.mkdir(exist_ok=True, parents=True)
    others.mkdir(exist_ok=True)

    def write(path, names, imports=""):
        text = f"import numpy as np\n{imports}" + "\n\n\n".join(CLASSES[n] for n in names)
        for old, new in edits:
            text = text.replace(old, new)
        path.write_text(text + "\n")

    for name, classes in FILES.items():
        write(others / f"{name}.py", classes)
    write(own / "hw1.py", ["MLP"], IMPORTS)
    return own / "hw1.py"


@pytest.mark.parametrize("beside", [False, True])
def test_the_courses_layout(beside, tmp_path, capsys):
    file = write_homework(tmp_path, beside)
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "toy: 180 of 180 published numbers match: pass" in out
    assert "tanh + batchnorm: pass" in out
    last = f"not checked: {NO_SWITCH}; step(), which the class has not"
    assert out.splitlines()[-1] == last
    before = list(sys.path)
    assert main(["--json", f"{file}:MLP"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "pass"
    assert len(document["networks"]) == 6
    assert sys.path == before
    assert not {"activation", "linear", "loss", "batchnorm", "hw1"} & set(sys.modules)


def test_two_homeworks_do_not_mix(tmp_path):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    write_homework(right)
    write_homework(wrong, edits=[(DX, "return delta @ self.W.T * 2")])
    assert run_homework(str(right)).verdict == "pass"
    found = run_homework(str(wrong))
    assert found.verdict == "fail"
    assert found.reports[0].notes[0].startswith("first wrong: linear_layers[2].dx")
    assert run_homework(str(right)).verdict == "pass"
    assert open_source(str(right)).value is not open_source(str(wrong)).value


def test_the_first_wrong_place_is_told(tmp_path, capsys):
    square = "return delta @ (self.W if len(self.W) == self.W.shape[1] else self.W.T)"
    write_homework(tmp_path, edits=[(DX, square)])
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "toy: 124 of 180 published numbers match: fail" in out
    assert "first wrong: linear_layers[1].dx (everything above it matches)" in out
    assert "wrong-weights: " in out
    assert "follows from linear_layers[1].dx" in out
    last = out.splitlines()[-1]
    assert last.startswith("the likeliest mistake is at linear_layers[1].dx: wrong-weights: ")


def test_quiet_tells_each_mistake_once(tmp_path, capsys):
    write_homework(tmp_path, edits=[(DX, "return delta @ self.W.T * 3")])
    assert main([str(tmp_path), "--quiet"]) == 1
    out = capsys.readouterr().out
    assert out.count("      scaled-by-constant: ") == 2  # without batchnorm, and with it
    assert "sigmoid: fail, as relu" in out
    assert "tanh + batchnorm: fail, as relu + batchnorm" in out
    assert "follows from" not in out
    assert out.count("the likeliest mistake is at linear_layers[2].dx: scaled-by-constant: ") == 1


def test_their_warnings_are_not_shown(tmp_path, capsys):
    write_homework(tmp_path, edits=[(DX, "1 / np.zeros(2)\n        return delta @ self.W.T")])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert main([str(tmp_path), "--quiet"]) == 0
    assert not seen
    assert "Warning" not in capsys.readouterr().err


def test_an_exception_is_shown_with_its_statement(tmp_path, capsys):
    write_homework(tmp_path, edits=[(DX, "return delta @ self.weights.T")])
    assert main([str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert re.search(r"AttributeError: .*weights.*linear.py:\d+: return delta @ self.weights.T",
                     captured.out)  # fmt: skip
    assert "Traceback" not in captured.out + captured.err


def test_the_same_exception_is_shown_once(tmp_path, capsys):
    write_homework(tmp_path, edits=[("return self.p - self.y", "return self.p - self.t")])
    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert out.count("AttributeError") == 2  # by the toy, and by the networks
    assert "tanh + batchnorm: fail, as relu" in out


MEANS = [
    ("self.x.T @ delta, delta.sum(", "self.x.T @ delta / len(delta), delta.mean("),
]


def test_sums_beside_means_are_named(tmp_path, capsys):
    write_homework(tmp_path, edits=MEANS)
    assert main([str(tmp_path), "--json"]) == 0
    capsys.readouterr()
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    names = ", ".join(f"bn_layers[{k}].d{name}" for k in (0, 1) for name in ("gamma", "beta"))
    assert f"4 gradients are of the sum over the batch ({names}), the others are of the mean" in out
    assert "as in one year of the course: a convention" in out


STEP = """
    def step(self):
        for layer in self.linear_layers:
            for w, g, v in (("W", "dW", "mW"), ("b", "db", "mb")):
                velocity = self.momentum * getattr(layer, v, 0.0) - self.lr * getattr(layer, g)
                setattr(layer, v, velocity)
                setattr(layer, w, getattr(layer, w) + velocity)
        for layer in self.bn_layers:
            layer.gamma = layer.gamma - self.lr * layer.dgamma
            layer.beta = layer.beta - self.lr * layer.dbeta

    def zero_grads(self):"""


MODES = """    def train(self):
        self.set(True)

    def eval(self):
        self.set(False)

    def set(self, training):
        for layer in self.bn_layers:
            layer.training = training

    def zero_grads(self):"""

EVALUATED = """if not getattr(self, "training", True):
            hat = (x - self.running_mean) / np.sqrt(self.running_var + 1e-8)
            return self.gamma * hat + self.beta
        self.rstd = 1 / np.sqrt(x.var(axis=0) + 1e-8)"""


@pytest.mark.parametrize("way", ["descends", "ascends"])
def test_the_step_of_batchnorm_is_checked(way, tmp_path, capsys):
    settings = ("self.activations, self", "self.lr, self.momentum = lr, momentum\n"
                "        self.activations, self")  # fmt: skip
    step = STEP
    if way == "ascends":
        step = step.replace("layer.gamma - self.lr", "layer.gamma + self.lr")
    write_homework(tmp_path, edits=[settings, ("\n    def zero_grads(self):", step)])
    assert main([str(tmp_path)]) == (way == "ascends")
    out = capsys.readouterr().out
    assert f"\nnot checked: {NO_SWITCH}\n" in out
    if way == "ascends":
        assert "step(): fail" in out
        assert "! bn_layers[0].gamma step 1, (0, " in out
        assert "update-formula-mismatch: the step is not w ← w − lr·g: it ascends" in out
    else:
        assert "step(): pass" in out


@pytest.mark.parametrize("way", ["switch", "no statistics"])
def test_what_batchnorm_keeps_is_checked_where_it_can_be(way, tmp_path, capsys):
    if way == "switch":
        edits = [
            ("    def zero_grads(self):", MODES),
            ("self.rstd = 1 / np.sqrt(x.var(axis=0) + 1e-8)", EVALUATED),
        ]
        unseen = "step(), which the class has not"
    else:
        edits = [("running_", "r_")]
        unseen = f"running statistics; {NO_SWITCH}; step(), which the class has not"
    write_homework(tmp_path, edits=edits)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"not checked: {unseen}"


def test_a_layer_that_forward_leaves_out_is_named(tmp_path, capsys):
    kept = "self.gamma, self.beta = np.ones((1, n)), np.zeros((1, n))"
    edits = [
        ("if i < len(self.bn_layers)", "if i < 0"),
        (kept, f"{kept}\n        self.dgamma, self.dbeta = 0 * self.gamma, 0 * self.beta"),
    ]
    write_homework(tmp_path, edits=edits)
    assert main([str(tmp_path)]) != 0
    out = capsys.readouterr().out
    assert re.search(r"\? bn_layers\[1\].beta .*the loss does not depend on it", out)


def test_a_file_that_cannot_be_imported_is_a_report(tmp_path, capsys):
    file = tmp_path / "broken.py"
    file.write_text("class MLP:\n    pass\n\n\nundefined_name\n")
    assert main([f"{file}:MLP"]) == 1
    captured = capsys.readouterr()
    assert re.search(r"NameError: .*broken.py:5: undefined_name", captured.out)
    assert "Traceback" not in captured.out + captured.err


def test_a_syntax_error_is_a_report(tmp_path, capsys):
    file = tmp_path / "broken.py"
    file.write_text("class MLP:\n    def forward(self:\n")
    assert main([f"{file}:MLP"]) == 1
    captured = capsys.readouterr()
    assert "SyntaxError" in captured.out
    assert "Traceback" not in captured.out + captured.err


def test_an_endless_loop_is_stopped(tmp_path, capsys):
    write_homework(tmp_path, edits=[(DX, "while True: pass")])
    assert main([str(tmp_path), "--budget", "0.5"]) == 1
    told = capsys.readouterr().out
    assert "the budget of 0.5 s is spent" in told
    assert "pass" not in told


def test_what_it_prints_goes_to_stderr(tmp_path, capsys):
    write_homework(tmp_path, edits=[(DX, "print('hello'); return delta @ self.W.T")])
    assert main([str(tmp_path), "--json"]) == 0
    captured = capsys.readouterr()
    json.loads(captured.out)
    assert "hello" in captured.err


@pytest.mark.parametrize("target", ["no_such_file.py:MLP", "nowhere:MLP", "."])
def test_a_target_that_is_not_there(target, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main([target]) in (1, 2)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err


PAIRS = """
import numpy as np
from gradcheck import pair

def relu(x):
    return np.maximum(x, 0)

def relu_backward(dy, x):
    return dy * (x > 0)

def affine_forward(x, w, b):
    return x @ w + b

def affine_backward(dy, x, w, b):
    return dy @ w.T, x.T @ dy, dy

@pair(backward=lambda dy, x: dy * np.cos(x), inputs=[np.linspace(0.1, 1, 5)])
def sine(x):
    return np.sin(x)

def alone(x):
    return x
"""


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["relu", "--shape", "x=4,3"], 0, "pass"),
        (["affine_forward", "--shape", "x=4,3", "--shape", "w=3,2", "--shape", "b=2"], 1, "fail"),
        (["sine"], 0, "pass"),
        (["relu"], 2, "needs --shape x="),
        (["relu", "--shape", "x=3", "--shape", "y=3"], 2, "has no argument 'y'"),
        (["alone", "--shape", "x=3"], 2, "no backward stands beside 'alone'"),
        (["missing"], 2, "has no 'missing'"),
    ],
)
def test_function_pairs(arguments, status, text, tmp_path, capsys):
    file = tmp_path / "pairs.py"
    file.write_text(PAIRS)
    name, *options = arguments
    assert main([f"{file}:{name}", *options]) == status
    captured = capsys.readouterr()
    assert text in captured.out + captured.err


def test_a_network_that_does_all_itself(capsys):
    """No layer has a backward and none batchnorm: what can be seen is checked."""
    assert main(["tests.gradcheck.monolith:MLP"]) == 0
    out = capsys.readouterr().out
    assert "published numbers match: pass" in out
    assert "tanh: pass" in out
    assert "step(): pass" in out


def test_a_class_that_is_no_network(capsys):
    assert main(["tests.gradcheck.monolith:Linear"]) == 2
    assert "has no method 'forward'" in capsys.readouterr().err
