from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.picture_names import PictureNames


def test_a_name_loses_its_extension_unless_that_is_all_that_tells_it_apart():
    names = PictureNames(["/in/a.jpg", "/in/b.jpg", "/in/sub/b.png", "/in/图.x.jpg", "/in/plain"])
    assert [names[position] for position in range(5)] == ["a", "b.jpg", "b.png", "图.x", "plain"]


@settings(deadline=None)
@given(st.lists(st.text("ab.", min_size=1, max_size=5).filter(lambda name: name.strip(".")), unique=True, max_size=10))
def test_names_are_as_unique_as_the_images(images):
    names = PictureNames([f"/in/{image}" for image in images])
    assert len({names[position] for position in range(len(images))}) == len(images)
