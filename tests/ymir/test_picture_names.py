from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.atomic import replacing
from ymir.picture_names import PictureNames


def test_a_name_loses_its_extension_unless_that_is_all_that_tells_it_apart():
    names = PictureNames(["/in/a.jpg", "/in/b.jpg", "/in/sub/b.png", "/in/图.x.jpg", "/in/plain"])
    assert [names[position] for position in range(5)] == ["a", "b.jpg", "b.png", "图.x", "plain"]


@settings(deadline=None)
@given(st.lists(st.text("ab.", min_size=1, max_size=5).filter(lambda name: name.strip(".")), unique=True, max_size=10))
def test_names_are_as_unique_as_the_images(images):
    names = PictureNames([f"/in/{image}" for image in images])
    assert len({names[position] for position in range(len(images))}) == len(images)


def test_names_as_long_as_can_be_leave_room_for_an_extension(tmp_path):
    images = ["街" * 85, "街" * 84 + "道", "n" * 255, "n" * 251 + ".jpg", "n" * 252 + ".gz"]
    names = PictureNames([f"/in/{image}" for image in images])
    shown = [names[position] for position in range(len(images))]
    assert len(set(shown)) == len(images)
    for name in shown:
        with replacing(tmp_path / f"{name}.png") as stream:
            stream.write("picture")
    assert shown[3] == "n" * 251
