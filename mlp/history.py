"""History: what training was like, epoch by epoch."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class History:
    """One entry for each finished epoch.

    Attributes
    ----------
    loss : the mean of the samples' losses, each before the update that it led to. Summed in
        float64 in the order of training; a mean whatever the network's reduction.
    error : the fraction of samples whose largest output was in the wrong place, likewise. Empty
        with mse, and so is `validation_error`.
    validation_loss, validation_error : the same of the validation set, after the epoch and with
        running statistics. Empty without one.
    seconds : of the whole call so far, validation included.
    """

    loss: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, loss: float, error: float | None, *, validation: bool = False) -> None:
        """Append an epoch's loss and, where there is one, its error."""
        losses, errors = self.loss, self.error
        if validation:
            losses, errors = self.validation_loss, self.validation_error
        losses.append(loss)
        if error is not None:
            errors.append(error)

    def last(self) -> str:
        """The last epoch, in words."""
        parts = (
            ("loss", self.loss, "{:.4g}"),
            ("error", self.error, "{:.2%}"),
            ("validation loss", self.validation_loss, "{:.4g}"),
            ("validation error", self.validation_error, "{:.2%}"),
        )
        return ", ".join(f"{name} {form.format(of[-1])}" for name, of, form in parts if of)

    def __repr__(self) -> str:
        count = len(self.loss)
        epochs = f"{count} epoch" + ("" if count == 1 else "s")
        described = f": {self.last()}" if count else ""
        return f"<History of {epochs} in {self.seconds:.3g} s{described}>"
