"""What a report says about the neighbors beside its pictures: hubs, source classes, and what the search missed."""

from sjft_tf.reporting.borrowing import shown_classes
from sjft_tf.reporting.data import Borrowing, Certificate
from sjft_tf.reporting.words import counted, number, percent, recall


def hubs_said(borrowing: Borrowing, n_target: int) -> str:
    """How unevenly source images are borrowed by `n_target` images, against lists drawn at random with the same K."""
    occurrences = borrowing.occurrences
    n_source, n_never = len(occurrences), int((occurrences == 0).sum())
    never = f"In the last round every one of {counted(n_source, 'source image')} is within reach of a target image."
    if n_never:
        never = (
            f"In the last round {percent(n_never / n_source)} of the source is never borrowed: {number(n_never)} of "
            f"{counted(n_source, 'image')} are within the first K of no target image. Were the lists random, "
            f"{percent(borrowing.never_by_chance)} would be."
        )
    return (
        f"{never} The most borrowed image is a neighbor of {number(occurrences.max())} of "
        f"{counted(n_target, 'target image')}, the average one of {occurrences.mean():,.1f}. The skewness of these "
        f"numbers is {borrowing.skewness:.1f}; of random lists it would be {borrowing.skewness_by_chance:.1f}."
    )


def classes_said(borrowing: Borrowing) -> str:
    """How unevenly classes are borrowed from: what the bars are, what they hold, and the other classes in words."""
    shares, expected = borrowing.class_shares, borrowing.class_expected
    shown, ratios = shown_classes(shares), shares / expected
    first, never = "", ""
    if len(shown) < len(ratios):
        held, size = percent(shares[shown].sum()), percent(expected[shown].sum())
        first = f" The first {len(shown)} of {number(len(ratios))} make up {held} of the pairs, {size} of the source."
    if not ratios.all():
        never = f", and 0 for {number(int((ratios == 0).sum()))} of these"
    return (
        f"Classes by their share of all pairs, a pair being a target image and a source image within its first K.{first} "
        f"× compares a class's share of the pairs with its share of the source: it is 2 or more for "
        f"{counted(int((ratios >= 2).sum()), 'class')}, 0.5 or less for {number(int((ratios <= 0.5).sum()))}{never}."
    )


def certified(certificate: Certificate) -> str:
    """What an approximate search finds of the true neighbors, with its uncertainty."""
    return (
        f"The search was approximate: an index proposed {number(certificate.candidates)} candidates for each target "
        f"image, and the nearest {number(certificate.depth)} of them were kept. On "
        f"{counted(certificate.n_targets, 'target image')} drawn at random, these hold {recall(certificate.recall)} of "
        f"the true {number(certificate.depth)} nearest (95\N{NO-BREAK SPACE}% confidence interval "
        f"{recall(certificate.low)} to {recall(certificate.high)}); at least {percent(certificate.min_recall)} was required."
    )
