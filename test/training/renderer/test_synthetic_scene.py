# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""Rendered scenes: the same bytes for the same seed, and truth that fits the image."""

from dataclasses import replace
import hashlib
import math
import os
import subprocess
import sys

from eunet_ros.training.renderer import cone_looks, render_scene
from eunet_ros.training.renderer.camera import make_camera, project
from eunet_ros.training.renderer.effects import apply_effects, sample_effects
from eunet_ros.training.renderer.layouts import ConeSet, Layout, sample_layout
from eunet_ros.training.renderer.light import sample_light
from eunet_ros.training.renderer.profiles import get_profile, HARD, PROFILES, TRAIN
from eunet_ros.training.renderer.scene import render_world, sample_camera
from eunet_ros.training.renderer.surroundings import draw_prop, Prop
from eunet_ros.training.renderer.world import sample_world
import numpy as np
import pytest

PLAIN = replace(
    get_profile('train'), far_props=(0, 0), near_props=(0, 0), sticker_missing=0.0,
    surfaces={'asphalt': 1.0}, textures=(0,), second_surface=0.0, marks=(0, 1), wet=0.0,
    backdrops=(0,), dented=0.0, lettered=0.0, shaded=0.0, indoor=0.0, canted=0.0, glint=0.0,
    oddments=0.0, glare=0.0, orange_hue_deg=(0.0, 0.0), plain_band=0.0, unlit=0.0,
    overexposed=0.0, video=0.0)


def digest(scene) -> str:
    return hashlib.sha256(scene.image.tobytes() + scene.mask.tobytes()
                          + scene.instances.tobytes()).hexdigest()


def show(places, height=200, width=320, tilt=0.0, knocked=False, profile=PLAIN, roll=0.0,
         **world_fields):
    """Render cones (class, x, y) with a level camera 1 m up and a field of view of 90 degrees."""
    count = len(places)
    cones = ConeSet(
        np.array([place[0] for place in places]),
        np.array([(place[1], place[2], 0.0) for place in places], float).reshape(-1, 3),
        np.zeros(count), np.full(count, tilt), np.zeros(count), np.full(count, knocked))
    rng = np.random.default_rng(3)
    layout = Layout('test', cones, (0.0, 0.0, 0.0), None)
    world = replace(sample_world(rng, profile, layout, 3), **world_fields)
    camera = make_camera(height, width, math.pi / 2, 1.0, roll=roll)
    effects = sample_effects(rng, profile, width)
    return render_world(world, camera, layout.pose, effects, rng)


@pytest.mark.process
def test_same_seed_same_bytes_in_this_process_and_another():
    render_scene(8, 48, 80)  # what was rendered before must not matter
    here = digest(render_scene(7, 96, 160))
    assert here == digest(render_scene(7, 96, 160))
    code = ('from test_synthetic_scene import digest, render_scene;'
            'print(digest(render_scene(7, 96, 160)))')
    paths = [os.path.dirname(__file__), *sys.path]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    there = subprocess.run([sys.executable, '-c', code], env=environment, check=True,
                           capture_output=True, text=True)
    assert there.stdout.strip() == here


def test_seeds_and_profiles_differ():
    digests = {digest(render_scene(seed, 48, 80, name))
               for seed, name in ((1, 'train'), (2, 'train'), (1, 'benchmark'))}
    assert len(digests) == 3


@pytest.mark.parametrize('class_id, height_m, base_m', [
    (1, 0.325, 0.228), (2, 0.325, 0.228), (3, 0.325, 0.228), (4, 0.505, 0.285)])
def test_a_cone_is_where_the_formula_says(class_id, height_m, base_m):
    scene = show([(class_id, 3.0, 0.6)])
    (cone,) = scene.cones
    f, u, v = 160.0, 159.5, 99.5
    half = base_m / 2
    # Row of the lower edge: the plate's near side; of the top: the far rim of the tip is hidden
    # or not by a centimetre, its middle is close enough.
    bottom = v + f * 1.0 / (3.0 - half)
    top = v + f * (1.0 - height_m) / 3.0
    # Its left side is widest in front, its right side at the back.
    left, right = u - f * (0.6 + half) / (3.0 - half), u - f * (0.6 - half) / (3.0 + half)
    assert cone.box == pytest.approx((left, top, right, bottom), abs=1.6)
    assert (cone.class_id, cone.x, cone.y) == (class_id, 3.0, 0.6)
    assert cone.visible_fraction == pytest.approx(1.0)
    assert cone.height_px == cone.box[3] - cone.box[1]
    # Base, frustum: the mask's area is their sum within a tenth.
    assert np.count_nonzero(scene.mask) > 0.35 * (right - left) * (bottom - top)


def test_near_covers_far():
    scene = show([(2, 2.9, 0.0), (1, 2.5, 0.0)])
    near, far = scene.cones
    assert (near.class_id, far.class_id) == (1, 2)
    assert near.visible_fraction == pytest.approx(1.0)
    assert far.visible_fraction < 0.9
    # The far cone's foot would be at row 99.5 + 160 / 2.9: the near one's flank is there.
    assert scene.mask[153, 160] == 1
    assert scene.instances[153, 160] == 1


def test_a_cone_cut_by_the_edge_is_known_to_be_cut():
    (cone,) = show([(3, 2.0, 1.95)]).cones
    assert cone.box[0] == 0
    assert 0.2 < cone.visible_fraction < 0.95


def test_a_knocked_over_cone_is_low_and_long():
    (cone,) = show([(1, 3.0, 0.0)], knocked=True).cones
    assert cone.knocked_over
    assert cone.height_px < 0.95 * 160 * 0.325 / 2.8 + 8


def test_letters_are_on_the_band_alone():
    lettered = replace(PLAIN, lettered=1.0)
    bare, written = (show([(2, 2.2, 0.0)], 600, 1200, profile=p) for p in (PLAIN, lettered))
    assert np.array_equal(bare.mask, written.mask)
    changed = np.argwhere((bare.image.astype(int) - written.image).any(axis=2))
    (cone,) = bare.cones
    u0, v0, u1, v1 = cone.box
    rows = (changed[:, 0] - v0) / (v1 - v0)
    assert len(changed) > 30 and rows.min() > 0.2 and rows.max() < 0.75
    assert changed[:, 1].min() >= u0 and changed[:, 1].max() < u1


@pytest.mark.parametrize('roll', [-0.4, 0.4])
def test_letters_lean_with_the_camera(roll, monkeypatch):
    monkeypatch.setattr(cone_looks, '_LETTERS', ('ETETET',))
    lettered = replace(PLAIN, lettered=1.0)
    bare, written = (show([(2, 2.2, 0.0)], 600, 1200, profile=p, roll=roll)
                     for p in (PLAIN, lettered))
    assert np.array_equal(bare.mask, written.mask)
    writing = (bare.image.astype(int) - written.image).any(axis=2)
    assert writing.sum() > 30
    # The cone is higher than wide, the writing wider than high: one across the other.
    cone, letters = (np.cov(*np.argwhere(shape).T)[0, 1] for shape in (bare.mask == 2, writing))
    assert cone * letters < 0


def test_a_leaning_camera_leans_to_both_sides():
    profile = replace(PLAIN, canted=1.0)
    rolls = [sample_camera(np.random.default_rng(seed), profile, 48, 80).roll
             for seed in range(20)]
    low, high = np.radians(profile.canted_deg)
    assert min(rolls) < 0 < max(rolls) and all(low <= abs(roll) <= high for roll in rolls)


def test_into_the_light_the_ground_is_darker_and_greyer_than_else():
    plain, glaring = ([sample_effects(np.random.default_rng(seed), profile, 640)
                       for seed in range(40)] for profile in (PLAIN, replace(PLAIN, glare=1.0)))
    assert all(effects.flare is not None for effects in glaring)
    for measure in (lambda effects: effects.saturation,
                    lambda effects: np.ptp(effects.table[[20, 100]].astype(int))):
        assert np.mean([*map(measure, glaring)]) < 0.85 * np.mean([*map(measure, plain)])


def test_overexposed_is_brighter_and_greyer():
    plain, over = ([sample_effects(np.random.default_rng(seed), profile, 640)
                    for seed in range(40)]
                   for profile in (PLAIN, replace(PLAIN, overexposed=1.0)))
    assert np.mean([e.table[100] for e in over]) > np.mean([e.table[100] for e in plain]) + 40
    assert np.mean([e.saturation for e in over]) < np.mean([e.saturation for e in plain])


def test_a_video_keeps_brightness_and_coarsens_colour():
    image = np.full((96, 96, 3), 120, np.uint8)
    image[48:51, 20:23] = image[30:60, 50:80] = (40, 120, 230)  # a far cone and a near one
    effects = replace(
        sample_effects(np.random.default_rng(1), PLAIN, 640), table=np.arange(256, dtype=np.uint8)[
            :, None, None].repeat(3, 2), saturation=1.0, defocus=0.0, motion=(0.0, 0.0),
        read_noise=0.0, shot_noise=0.0, vignette=0.0, flare=None, bayer=False, rescale=1.0,
        sharpen=0.0, jpeg_quality=0, smudges=(), video=(5.0, 4.0, 0.5, 1.0))
    seen = apply_effects(image, effects, np.random.default_rng(2)).astype(int)

    def colour(y, x):
        return np.ptp(seen[y, x])
    assert colour(45, 65) > 170 and colour(49, 21) < 0.7 * colour(45, 65)
    assert np.ptp(seen[10, 10]) <= 2
    assert seen[30:60, 45:49].mean() < 119 or seen[30:60, 45:49].mean() > 121  # a halo


def test_no_unknown_cone_has_the_colour_of_a_class():
    # Red cones are orange cones in another light.
    of_a_class = np.array([*cone_looks._BODY.values(), (40, 30, 200)])
    of_a_class = of_a_class / of_a_class.max(axis=1, keepdims=True)
    profile = replace(PLAIN, hue_jitter=0.0, fade=(0.0, 0.0))
    for seed in range(200):
        body = np.array(cone_looks.sample_look(np.random.default_rng(seed), 5, profile).body)
        assert np.abs(of_a_class - body / body.max()).max(axis=1).min() > 0.06


def test_onboard_the_own_car_fills_the_middle_below():
    profile = replace(PLAIN, onboard=1.0, own_car=0.0)
    scenes = [render_scene(seed, 96, 160, profile) for seed in range(8)]
    for scene in scenes:
        assert 0.9 < scene.camera.mount_height < 1.6
        assert not scene.mask[84:, 72:88].any()
    assert len({scene.image[90, 80].tobytes() for scene in scenes}) > 4  # not one car


def test_a_fisheye_is_as_far_from_the_centre_as_the_angle_says():
    profile = replace(PLAIN, fisheye=1.0)
    for seed in range(5):
        camera = sample_camera(np.random.default_rng(seed), profile, 360, 640, onboard=True)
        u, v = project(camera, camera.rotation[2] * 9 + (0, 0, camera.mount_height))[0]
        assert (u, v) == pytest.approx((319.5, 179.5))
        for degrees in (15, 30):
            angle = math.radians(degrees)
            ray = camera.rotation.T @ (math.sin(angle), 0.0, math.cos(angle))
            u = project(camera, 9 * ray + (0, 0, camera.mount_height))[0][0]
            assert u - 319.5 == pytest.approx(camera.focal * angle, rel=0.01)


def test_a_plate_mirrors_a_low_sun_ahead():
    low = replace(PLAIN, overcast=0.0, sun_strength=(0.9, 0.9), sun_elevation_deg=(12, 12))
    light = replace(sample_light(np.random.default_rng(0), low), azimuth=0.0)
    dull, bright = (show([(1, 3.0, 0.0)], profile=replace(low, glint=glint), light=light)
                    for glint in (0.0, 1.0))
    assert np.array_equal(dull.mask, bright.mask)
    assert bright.image[bright.mask == 1].mean() > dull.image[dull.mask == 1].mean() + 3
    behind = replace(light, azimuth=math.pi)
    dull, bright = (show([(1, 3.0, 0.0)], profile=replace(low, glint=glint), light=behind)
                    for glint in (0.0, 1.0))
    assert np.abs(dull.image.astype(int) - bright.image).max() < 12


def test_a_prop_may_show_as_one_pixel_in_a_corner():
    light = sample_light(np.random.default_rng(0), PLAIN)
    shapes = set()
    for pitch in np.linspace(0.53, 0.57, 20):  # the horizon moves over the first row
        camera = make_camera(96, 160, math.pi / 2, 1.0, pitch)
        for y in np.linspace(205, 222, 20):    # and the prop over the first column
            image = np.zeros((96, 160, 3), np.uint8)
            mask, instances = np.ones((2, 96, 160), np.uint8)
            draw_prop(image, mask, instances, Prop('post', 0, 0, 0), camera, light, 250.0, y)
            assert np.array_equal(mask == 0, instances == 0)
            if image.any():
                shapes.add(tuple(np.ptp(np.argwhere(image.any(axis=2)), axis=0)))
    assert (0, 0) in shapes


def test_posts_and_weeds_stand_only_where_a_profile_has_them():
    kinds = {}
    for share in (0.0, 1.0):
        profile = replace(PLAIN, oddments=share)
        kinds[share] = set()
        for seed in range(8):
            rng = np.random.default_rng(seed)
            layout = sample_layout(rng, profile)
            kinds[share] |= {p.kind for p in sample_world(rng, profile, layout, seed).props}
    assert kinds == {0.0: set(), 1.0: {'post', 'weed'}}


def test_a_dented_cone_has_another_outline_and_a_mask_that_fits_it():
    dented = replace(PLAIN, dented=1.0)
    straight, bent = (show([(1, 2.2, 0.0)], 600, 1200, profile=p) for p in (PLAIN, dented))
    assert (straight.mask != bent.mask).sum() > 20
    # Blue against grey: where the mask ends, so does the colour.
    image = bent.image.astype(int)
    blue = image[..., 0] - image[..., 2]
    assert blue[bent.mask == 1].mean() > blue[bent.mask == 0].mean() + 40


def test_a_cone_in_a_shadow_is_darker():
    sunny = replace(PLAIN, overcast=0.0, sun_strength=(0.9, 0.9), sun_elevation_deg=(60, 60))
    around = np.array([(1.0, -2.0), (6.0, -2.0), (6.0, 2.0), (1.0, 2.0)])
    lit, dark = (show([(2, 3.0, 0.0)], profile=sunny, shades=shades)
                 for shades in ((), (around,)))
    assert np.array_equal(lit.mask, dark.mask)
    assert dark.image[dark.mask == 2].mean() < 0.8 * lit.image[lit.mask == 2].mean()


def test_indoors_no_cone_is_behind_a_wall():
    inside = replace(get_profile('train'), indoor=1.0, layouts={'scatter': 1.0})
    seen = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        layout = sample_layout(rng, inside)
        world = sample_world(rng, inside, layout, seed)
        assert world.hall.holds(np.array([layout.pose[:2]]))[0]  # the camera itself
        assert world.hall.holds(world.cones.xyz).all()
        assert len(world.cones.class_id) <= len(layout.cones.class_id)
        seen += len(world.cones.class_id)
        scene = render_scene(seed, 48, 80, inside)
        assert np.array_equal(scene.mask > 0, scene.instances > 0)
    assert seen


def test_clutter_has_no_cone():
    assert not any(render_scene(seed, 48, 80, 'clutter').mask.any() for seed in range(8))


@pytest.mark.parametrize('size', [(97, 161), (64, 64), (33, 250)])
def test_odd_sizes(size):
    for seed in range(2):
        scene = render_scene(seed, *size)
        assert scene.image.shape == size + (3,) and scene.image.dtype == np.uint8
        assert scene.mask.shape == size and scene.mask.dtype == np.uint8
        assert scene.instances.shape == size and scene.instances.dtype == np.uint16


@pytest.mark.parametrize('profile', ['train', 'benchmark'])
def test_mask_instances_and_list_agree(profile):
    empty = 0
    for seed in range(100, 104):
        scene = render_scene(seed, 96, 160, profile)
        assert scene.mask.max() <= 5
        assert np.array_equal(scene.mask > 0, scene.instances > 0)
        numbers = np.unique(scene.instances)
        assert list(numbers[numbers > 0]) == list(range(1, len(scene.cones) + 1))
        for number, cone in enumerate(scene.cones, start=1):
            own = scene.instances == number
            rows, columns = np.nonzero(own)
            assert set(scene.mask[own]) == {cone.class_id}
            assert cone.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert 0 < cone.visible_fraction <= 1
            assert cone.x > 0
        empty += not scene.cones
    assert empty < 4


def test_some_scenes_have_no_cone():
    bare = [seed for seed in range(12) if not render_scene(seed, 24, 40).mask.any()]
    assert 1 <= len(bare) <= 6


def test_profiles_share_no_texture_track_or_backdrop():
    profiles = [p for p in PROFILES.values() if p is not HARD]  # what that has is training's own
    assert HARD.sprites == TRAIN.sprites and HARD.salt not in {p.salt for p in profiles}
    for i, first in enumerate(profiles):
        for second in profiles[i + 1:]:
            assert first.salt != second.salt
            assert not set(first.textures) & set(second.textures)
            assert not set(first.backdrops) & set(second.backdrops)
            assert not set(first.sprites) & set(second.sprites)


def test_effects_keep_shape_for_images_larger_than_the_noise_field():
    rng = np.random.default_rng(0)
    effects = replace(sample_effects(rng, get_profile('train'), 1600), read_noise=3.0,
                      shot_noise=0.02)
    image = np.full((40, 1600, 3), 128, np.uint8)
    assert apply_effects(image, effects, rng).shape == image.shape


def test_flares_and_smudges_change_the_image_they_are_on():
    rng = np.random.default_rng(0)
    plain = replace(sample_effects(rng, get_profile('drive'), 160), read_noise=0.0,
                    shot_noise=0.0, vignette=0.0, saturation=1.0,
                    table=np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2))
    image = np.full((90, 160, 3), 60, np.uint8)
    assert np.array_equal(apply_effects(image, plain, rng), image)
    ghost = replace(plain, flare=(0.1, 0.1, 0.5), ghosts=((1.6, 0.05, 0.0, 0.0, 100.0),))
    shown = apply_effects(image, ghost, rng).astype(int)
    row, column = (round((0.1 + 1.6 * 0.4) * side) for side in (90, 160))
    assert shown[row, column, 2] > shown[row, column, 0] + 50  # red
    dark = apply_effects(image, replace(plain, smudges=((0.5, 0.5, 0.1, 0.5),)), rng)
    assert dark[45, 80].max() < 40 and np.array_equal(dark[:5], image[:5])


@pytest.mark.parametrize('arguments, word', [
    ((0, 64, 64, 'night'), "'night'"), ((-1,), '-1'), ((0, 8, 64), '64x8')])
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        render_scene(*arguments)
