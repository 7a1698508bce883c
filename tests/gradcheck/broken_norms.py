"""Batchnorm layers with one planted mistake each, and what check_module should say first."""

import numpy as np

from tests.gradcheck.broken_layers import planted
from tests.gradcheck.layers import (
    CourseNorm,
    Norm,
)


@planted("running-statistics-drift")
class AlphaSwapped(CourseNorm):
    def update(self):
        a = self.alpha
        self.running_mean = (1 - a) * self.running_mean + a * self.mean
        self.running_var = (1 - a) * self.running_var + a * self.var


@planted("running-statistics-drift")
class OnlyTheMeanSwapped(CourseNorm):
    def update(self):
        super().update()
        a = self.alpha
        self.running_mean = (1 - a) * self.running_mean + a * self.mean


@planted("running-statistics-drift")
class NeverUpdated(CourseNorm):
    def update(self):
        pass


@planted("running-statistics-drift")
class StoresDeviation(CourseNorm):
    def update(self):
        self.var, kept = np.sqrt(self.var), self.var
        super().update()
        self.var = kept


@planted("running-statistics-drift")
class MeanForVariance(CourseNorm):
    def update(self):
        super().update()
        self.running_var = self.alpha * np.ones_like(self.running_var) + 0.1 * self.mean


@planted("running-statistics-drift")
class OneTooMany(CourseNorm):
    def update(self):
        super().update()
        self.running_mean = self.running_mean + (1 - self.alpha) * self.mean


@planted("running-statistics-drift")
class UpdatesInEvaluation(CourseNorm):
    def forward(self, x, eval=False):  # noqa: A002
        y = super().forward(x, eval)
        if eval:
            self.mean, self.var = x.mean(axis=0), x.var(axis=0)
            self.update()
        return y


@planted("running-statistics-drift")
class UpdatesInBackward(Norm):
    def backward(self, dy):
        self.running_mean = 0.9 * self.running_mean
        return super().backward(dy)


@planted("running-statistics-drift")
class EvaluatesWithVariance(Norm):
    def forward(self, x):
        y = super().forward(x)
        if self.training:
            return y
        self.rstd = 1 / (self.running_var + self.eps)
        self.hat = (x - self.running_mean) * self.rstd
        return self.gamma * self.hat + self.beta


@planted("batchnorm-mode-confused")
class EvaluatesTheBatch(CourseNorm):
    def forward(self, x, eval=False):  # noqa: A002
        kept = self.running_mean, self.running_var
        y = super().forward(x)
        if eval:
            self.running_mean, self.running_var = kept
        return y


@planted("batchnorm-mode-confused")
class TrainsWithRunning(Norm):
    def forward(self, x):
        self.training, kept = False, self.training
        y = super().forward(x)
        self.training = kept
        super().statistics(x)
        return y

    def backward(self, dy):
        self.training, kept = False, self.training
        dx = super().backward(dy)
        self.training = kept
        return dx


@planted("batchnorm-mode-confused")
class TrainingsBackward(Norm):
    def backward(self, dy):
        kept, self.training = self.training, True
        dx = super().backward(dy)
        self.training = kept
        return dx


@planted("batchnorm-gamma-missing")
class WithoutGamma(Norm):
    """Wrong in both modes: so the mode is not to blame."""

    def backward(self, dy):
        kept, self.gamma = self.gamma, np.ones_like(self.gamma)
        dx = super().backward(dy)
        self.gamma = kept
        return dx


@planted("swapped-gradients")
class SwappedSums(Norm):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dgamma, self.dbeta = self.dbeta, self.dgamma
        return dx


@planted("swapped-gradients")
class SwappedMeans(Norm):
    """Means over the batch, a convention; swapped, which is none."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.dgamma, self.dbeta = self.dbeta / len(dy), self.dgamma / len(dy)
        return dx


@planted("input-modified")
class CentresItsInput(Norm):
    def forward(self, x):
        x -= 0.0 if not self.training else 1e-3
        return super().forward(x)
