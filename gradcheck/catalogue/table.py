"""All cases, in the order of the report."""

from gradcheck.catalogue import (
    activation,
    affine,
    batchnorm,
    loss,
    module,
    network,
    optimizer,
    protocol,
)
from gradcheck.catalogue import right as correct
from gradcheck.catalogue.case import Bug, Right

FAMILIES = (affine, activation, batchnorm, loss, protocol, module, network, optimizer)


def bugs() -> list[Bug]:
    """Every planted bug."""
    return [bug for family in FAMILIES for bug in family.bugs()]


def rights() -> list[Right]:
    """Every correct function."""
    return [*correct.rights(), *module.rights(), *network.rights(), *optimizer.rights()]
