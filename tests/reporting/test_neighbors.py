import numpy as np

from sjft_tf.reporting import Borrowing, Certificate, neighbors


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def made(occurrences, shares=(1.0,), expected=(1.0,)) -> Borrowing:
    names = [f"class {i}" for i in range(len(shares))]
    return Borrowing(np.asarray(occurrences), 4.13, 0.358, 0.92, names, np.array(shares), np.array(expected))


def test_hubs_in_words():
    # 1,000 source images and 20 lists of 50: one image in all of them, 49 in 19 of them, 49 in one.
    said = plain(neighbors.hubs_said(made(np.repeat([20, 19, 1, 0], [1, 49, 49, 901])), 20))
    assert "90.1 % of the source is never borrowed: 901 of 1,000 images" in said
    assert "Were the lists random, 35.8 % would be." in said
    assert "a neighbor of 20 of 20 target images, the average one of 1.0." in said
    assert "numbers is 4.1; of random lists it would be 0.9." in said


def test_a_source_of_which_every_image_is_borrowed():
    said = neighbors.hubs_said(made([2, 1]), 2)
    assert "every one of 2 source images is within reach" in said
    assert "never" not in said


def test_the_classes_of_the_long_tail_in_words():
    # 20 classes of equal size: 16 with 10 of 163 pairs each, 3 with 1, one with none.
    shares = np.array([10] * 16 + [1, 1, 1, 0]) / 163
    said = plain(neighbors.classes_said(made([1], shares, np.full(20, 1 / 20))))
    assert "The first 15 of 20 make up 92.0 % of the pairs, 75.0 % of the source." in said  # 150 of 163; 15 of 20
    assert "it is 2 or more for 0 classes, 0.5 or less for 4, and 0 for 1 of these." in said


def test_few_classes_need_no_tail():
    said = neighbors.classes_said(made([1], np.array([8, 1, 1, 1]) / 11, np.full(4, 0.25)))
    assert "The first" not in said
    assert "it is 2 or more for 1 class, 0.5 or less for 3." in said


def test_the_certificate_in_words():
    said = plain(neighbors.certified(Certificate(0.99307, 0.9904, 0.99999, 200, 850, 1600, 0.95)))
    assert "1,600 candidates for each target image, and the nearest 850 of them were kept" in said
    assert "On 200 target images drawn at random, these hold 99.31 % of the true 850 nearest" in said
    assert "(95 % confidence interval 99.04 % to > 99.99 %); at least 95.0 % was required." in said
