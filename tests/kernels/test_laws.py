"""The laws that every operation obeys, each one test over op × dtype."""

import numpy as np
import pytest

from gradcheck import check
from kernels import OPS
from tests.kernels.helpers import (
    as_tuple,
    assert_close_in_ulp,
    is_free,
    kernel_arguments,
    kernels_of,
    reference,
    settings,
)


def test_law_zero_samples_vary_and_lie_in_the_domain(op, dtype, seed):
    sample = op.sample(np.random.default_rng(seed), dtype)
    assert tuple(sample) == op.inputs
    for name, array in sample.items():
        assert np.unique(array).size > 1
        if name in op.labels:
            assert array.min() >= 0
            assert array.dtype.kind == "i"
            continue
        assert array.dtype == dtype
        assert np.isfinite(array).all()
        for kink in op.kinks:
            assert abs(array - kink).min() > 0.04
        if name in op.domain:
            low, high = op.domain[name]
            assert low <= array.min()
            assert array.max() <= high
        else:
            assert (array > 0).any()
            assert (array < 0).any()


def test_agrees_with_its_reference(op, dtype, seed):
    sample = op.sample(np.random.default_rng(seed), dtype)
    for got, expected in zip(as_tuple(op.forward(**sample)), reference(op, sample), strict=True):
        assert got.dtype == dtype
        assert_close_in_ulp(got, expected, op)


def test_gradient_agrees_with_differences_of_the_reference(differentiable, dtype, seed):
    op = differentiable
    sample = op.sample(np.random.default_rng(seed), dtype)
    positions = [op.outputs.index(name) for name in op.cotangents]

    def forward(*inputs):
        outputs = as_tuple(op.reference(*inputs, **settings(op)))
        return tuple(outputs[i] for i in positions)

    def backward(dy, *inputs):
        dy = tuple(d.astype(dtype) for d in dy)
        gradients = dict(zip(op.gradients, op.vjp(dy, *inputs), strict=True))
        return tuple(gradients.get(name) for name in op.inputs)

    report = check(forward, backward, list(sample.values()), list(sample), seed, op.name)
    assert report, str(report)


def test_out_is_overwritten_and_nothing_beside_it(op, dtype, rng):
    """Outputs lie in buffers full of NaN; the margins must still hold NaN afterwards."""
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        inputs = kernel_arguments(op, kernel, sample, rng)
        expected = as_tuple(kernel(**inputs))
        buffers = [np.full(array.size + 64, np.nan, dtype) for array in expected]
        given = {
            argument.name: buffer[32 : buffer.size - 32].reshape(array.shape)
            for argument, buffer, array in zip(
                [a for a in kernel.arguments if a.role == "output"], buffers, expected, strict=True
            )
        }
        returned = as_tuple(kernel(**inputs, **given))
        for out, result, array, buffer in zip(
            given.values(), returned, expected, buffers, strict=True
        ):
            assert result is out
            np.testing.assert_array_equal(out, array)
            assert np.isnan(buffer[:32]).all()
            assert np.isnan(buffer[-32:]).all()


def test_inputs_and_cotangents_are_untouched(op, dtype, rng):
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        inputs = kernel_arguments(op, kernel, sample, rng)
        before = {name: array.copy() for name, array in inputs.items()}
        kernel(**inputs)
        for name, array in inputs.items():
            np.testing.assert_array_equal(array, before[name])


def test_same_bits_every_time(op, dtype, rng):
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        inputs = kernel_arguments(op, kernel, sample, rng)
        for first, second in zip(
            as_tuple(kernel(**inputs)), as_tuple(kernel(**inputs)), strict=True
        ):
            assert first.tobytes() == second.tobytes()


def test_dtype_is_kept(op, dtype, rng):
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        for array in as_tuple(kernel(**kernel_arguments(op, kernel, sample, rng))):
            assert array.dtype == dtype


def layouts(array):
    """The same values in other layouts: strided, reversed, Fortran order, read-only, big-endian."""
    strided = np.repeat(array, 2, axis=-1)[..., ::2]
    backwards = np.ascontiguousarray(array[::-1])[::-1]
    read_only = array.copy()
    read_only.flags.writeable = False
    swapped = array.astype(array.dtype.newbyteorder())
    for other in (strided, backwards, np.asfortranarray(array), read_only, swapped):
        np.testing.assert_array_equal(other, array)
        yield other


def test_any_layout_gives_the_right_answer(op, dtype, rng):
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        inputs = kernel_arguments(op, kernel, sample, rng)
        expected = as_tuple(kernel(**inputs))
        for variant in zip(*(layouts(array) for array in inputs.values()), strict=True):
            for got, array in zip(as_tuple(kernel(*variant)), expected, strict=True):
                np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_batches_of_none_one_and_two(op, dtype, rng, n):
    sample = op.sample(rng, dtype, sizes={"n": n, "k": 3, "m": 7})
    for got, expected in zip(as_tuple(op.forward(**sample)), reference(op, sample), strict=True):
        assert_close_in_ulp(got, expected, op)
    if op.backward is not None:
        gradients = op.vjp(
            tuple(rng.standard_normal(y.shape).astype(dtype) for y in op.value(*sample.values())),
            *sample.values(),
        )
        for name, gradient in zip(op.gradients, gradients, strict=True):
            assert gradient.shape == sample[name].shape
            assert np.isfinite(gradient).all()
            if n == 0:
                assert not gradient.any()


def test_no_classes_and_no_features_stay_in_bounds(op, dtype, rng):
    sample = op.sample(rng, dtype, sizes={"n": 3, "k": 0, "m": 1})
    for array in as_tuple(op.forward(**sample)):
        assert np.isfinite(array).all()
    if not op.labels:
        empty = op.sample(rng, dtype, sizes={"n": 3, "k": 2, "m": 0})
        for got, expected in zip(as_tuple(op.forward(**empty)), reference(op, empty), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_nan_in_gives_nan_out(op, dtype, rng):
    for name in op.inputs:
        sample = op.sample(rng, dtype)
        if name in op.labels:
            continue
        sample[name].flat[1] = np.nan
        outputs = as_tuple(op.forward(**sample))
        assert any(np.isnan(array).any() for array in outputs)
        if op.is_elementwise:
            for array in outputs:
                changed = np.isnan(array).ravel()
                assert changed.sum() <= 1
                assert not changed.any() or changed[1]


def test_nan_in_backward_gives_nan_out(differentiable, dtype, rng):
    op = differentiable
    clean = kernel_arguments(op, op.backward, op.sample(rng, dtype), rng)
    place = int(np.argmax(clean.get("x", clean.get("y", next(iter(clean.values()))))))
    for name, array in clean.items():
        if array.dtype.kind != "f":
            continue
        inputs = clean | {name: array.copy()}
        inputs[name].flat[place % array.size] = np.nan
        gradients = as_tuple(op.backward(**inputs))
        assert any(np.isnan(gradient).any() for gradient in gradients), name


def test_every_wrong_dimension_is_refused(op, dtype, rng):
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        inputs = kernel_arguments(op, kernel, sample, rng)
        if len(inputs) == 1 and op.is_elementwise:
            continue  # one array of any shape: nothing to disagree with
        message = rf"{op.name}\w*: .* has shape .*expected"
        for name, array in inputs.items():
            for axis in range(array.ndim):
                if is_free(kernel, name, axis):
                    continue
                longer = np.concatenate([array, array], axis=axis)
                with pytest.raises(ValueError, match=message):
                    kernel(**inputs | {name: longer})
            with pytest.raises(ValueError, match=message):
                kernel(**inputs | {name: array[None, ...]})


def test_every_wrong_dtype_is_refused(op, dtype, rng):
    other = np.float32 if dtype == np.float64 else np.float64
    sample = op.sample(rng, dtype)
    for kernel in kernels_of(op):
        inputs = kernel_arguments(op, kernel, sample, rng)
        floats = [name for name, array in inputs.items() if array.dtype.kind == "f"]
        for name in floats:
            wrong = [inputs[name].astype(kind) for kind in (complex, object, np.float16, "U9")]
            if len(floats) > 1:
                wrong.append(inputs[name].astype(other))
            for array in wrong:
                with pytest.raises(
                    TypeError, match=rf"{kernel.__name__}: \w+ has dtype .*expected"
                ):
                    kernel(**inputs | {name: array})
        for name in set(inputs) - set(floats):
            with pytest.raises(TypeError, match=rf"{kernel.__name__}: {name} has dtype .*expected"):
                kernel(**inputs | {name: inputs[name].astype(dtype)})


def test_every_wrong_label_is_refused(op, rng):
    for name in op.labels:
        for kernel in kernels_of(op):
            inputs = kernel_arguments(op, kernel, op.sample(rng), rng)
            for wrong in (-1, 7, np.iinfo(np.int64).max):
                labels = inputs[name].copy()
                labels[3] = wrong
                with pytest.raises(ValueError, match=rf"{name}\[3\] is {wrong}, expected a class"):
                    kernel(**inputs | {name: labels})


def test_the_table_has_the_operations_that_are_promised():
    promised = [
        "identity",
        "affine",
        "relu",
        "leaky_relu",
        "elu",
        "sigmoid",
        "tanh",
        "softplus",
        "gelu",
        "silu",
        "batchnorm",
        "batchnorm_inference",
        "softmax_cross_entropy",
        "softmax_cross_entropy_soft",
        "mse",
        "gradient_descent",
        "momentum",
    ]
    assert set(promised) <= set(OPS)
