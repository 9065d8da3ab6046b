"""The report page, driven as a reader drives it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

TABS = ("overview", "curves", "matrix", "pictures", "images", "cost", "provenance")
CURVES = ".scatterlayer .trace"


def data_of(report: Path) -> Any:
    return json.loads((report / "report.json").read_text())


def bd_of(report: Path, anchor: str, curve: str, metric: str = "psnr_rgb") -> float:
    with open(report / "bd_matrix.csv") as file:
        [row] = [r for r in csv.DictReader(file)
                 if (r["anchor"], r["curve"], r["metric"]) == (anchor, curve, metric)
                 and r["audience"] == "human"]  # fmt: skip
    return float(row["bd_rate_percent"])


def over(page: Any, point: Any) -> None:
    """Move the mouse over a point of a chart; the chart's own layer is what gets the event."""
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 3, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def shown(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def test_every_view_opens_from_disk_without_errors_or_network(opened: Any) -> None:
    for tab in TABS:
        opened.go(tab)
        assert opened.page.locator("#panel h2").first.is_visible()
    # The fixture has the last word: nothing on the console, no request but to files.


def test_a_page_is_no_larger_than_four_megabytes(report: Path) -> None:
    assert (report / "index.html").stat().st_size < 4_000_000


def test_a_codec_that_is_switched_off_vanishes_from_every_chart(opened: Any) -> None:
    page = opened.page
    opened.go("curves")
    before = page.locator(CURVES).count()
    page.get_by_role("checkbox", name="webp").uncheck()
    assert page.locator(CURVES).count() == before - 1
    opened.go("cost")
    assert "webp" not in page.locator(".textpoint").all_inner_texts()
    opened.go("curves")
    assert not page.get_by_role("checkbox", name="webp").is_checked()
    page.get_by_role("button", name="All", exact=True).click()
    assert page.locator(CURVES).count() == before
    page.get_by_role("button", name="Only jpeg").click()
    # Left are jpeg, the published curve; the others are hidden.
    assert page.locator(CURVES).count() == 2


def test_hovering_over_a_point_tells_point_rate_value_and_interval(
    opened: Any, report: Path
) -> None:
    page = opened.page
    opened.go("curves")
    page.get_by_role("button", name="Only webp").click()
    page.get_by_label("Published curves").uncheck()
    over(page, page.locator(".scatterlayer .point").first)
    tip = page.locator("#tip")
    tip.wait_for(state="visible")
    webp = next(c for c in data_of(report)["curves"] if c["codec"] == "webp")
    text = tip.inner_text()
    assert f"webp {webp['points'][0]}" in text
    assert f"{webp['rates']['rate_bpp']['mean'][0]:.4g} bpp" in text
    psnr = webp["values"]["psnr_rgb"]["mean"]
    assert f"PSNR-RGB: {psnr['value'][0]:.2f} dB" in text
    assert f"95 % interval over pictures: {psnr['low'][0]:.2f} … {psnr['high'][0]:.2f}" in text


def test_the_rate_axis_turns_logarithmic_and_zooms(opened: Any) -> None:
    page = opened.page
    opened.go("curves")

    def ticks() -> list[str]:
        return page.locator(".xtick").all_text_contents()

    linear = ticks()
    page.get_by_role("group", name="Rate axis").get_by_role("button", name="log").click()
    assert ticks() != linear
    logarithmic = ticks()
    box = page.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 260, steps=4)
    page.mouse.up()
    page.wait_for_function(
        "before => [...document.querySelectorAll('.xtick')].map(n => n.textContent).join() !== "
        "before",
        arg=",".join(logarithmic),
    )
    page.locator(".nsewdrag").first.dblclick()


def test_enhancement_bits_published_curves_and_the_front_come_and_go(opened: Any) -> None:
    page = opened.page
    opened.go("curves")
    page.get_by_label("Metric").select_option(label="PSNR-RGB [dB]")
    for name in ("Enhancement bits alone (dotted)", "Published curves", "Pareto front"):
        box = page.get_by_label(name)
        before, on = page.locator(CURVES).count(), box.is_checked()
        box.set_checked(not on)
        assert page.locator(CURVES).count() == before + (-1 if on else 1), name
    assert "On the Pareto front: " in page.locator("#panel").inner_text()


def test_the_matrix_shows_what_the_table_has_with_intervals_and_reasons(
    opened: Any, report: Path
) -> None:
    page = opened.page
    opened.go("matrix")
    page.get_by_label("Metric").select_option(label="PSNR-RGB [dB]")
    names = page.locator(".matrix thead button").all_inner_texts()
    row = page.locator(".matrix tbody tr", has=page.get_by_role("rowheader", name="jpeg"))
    cell = row.locator("td").nth(names.index("webp"))
    assert cell.inner_text().rstrip("!") == shown(bd_of(report, "jpeg", "webp"))
    cell.hover()
    text = page.locator("#tip").inner_text()
    assert "webp against jpeg" in text
    assert re.search(r"95 % interval: \S+ % … \S+ %", text)
    # The flat codec is so bad that no quality is shared: no value, and why.
    none = row.locator("td").nth(names.index("flat"))
    assert none.inner_text().rstrip("!") == "–"
    none.hover()
    assert "no overlap" in page.locator("#tip").inner_text()
    # What failed on one picture is compared on the others, and says so.
    row.locator("td").nth(names.index("broken")).hover()
    assert "compared on 2 of 3 pictures" in page.locator("#tip").inner_text()
    # One point alone is no curve.
    assert "single" not in names


def test_the_anchor_changes_with_a_click_and_the_method_with_a_choice(
    opened: Any, report: Path
) -> None:
    page = opened.page
    opened.go("matrix")
    page.get_by_label("Metric").select_option(label="PSNR-RGB [dB]")
    assert page.get_by_role("heading", name="Against jpeg").is_visible()
    page.locator(".matrix tbody").get_by_role("button", name="webp").click()
    assert page.get_by_role("heading", name="Against webp").is_visible()
    table = page.get_by_role("region", name=re.compile("by every method"))
    row = table.locator("tbody tr", has=page.get_by_role("rowheader", name="jpeg"))
    assert row.locator("td").first.inner_text() == shown(bd_of(report, "webp", "jpeg"))
    opened.go("overview")
    assert page.get_by_label("Anchor").locator("option:checked").inner_text() == "webp"
    opened.go("matrix")
    page.get_by_label("Interpolation").select_option("akima")
    assert "akima" in page.locator(".matrix caption").inner_text()
    page.locator(".matrix td[data-row]").nth(1).hover()
    assert "no interval: drawn for pchip only" in page.locator("#tip").inner_text()
    page.get_by_role("button", name="BD-quality").click()
    assert page.get_by_role("heading", name=re.compile("^BD-quality")).is_visible()


def test_arrow_keys_move_through_matrix_and_tabs(opened: Any) -> None:
    page = opened.page
    page.locator("#tab-overview").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator('[role="tab"][aria-selected="true"]').inner_text() == "Curves"
    page.keyboard.press("ArrowRight")
    page.locator('.matrix td[tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(
        "[document.activeElement.dataset.row, document.activeElement.dataset.column]"
    ) == ["1", "1"]
    page.keyboard.press("ArrowUp")
    assert " against " in page.locator(".box").inner_text()
    page.keyboard.press("4")
    assert page.locator('[role="tab"][aria-selected="true"]').inner_text() == "Pictures"


def test_the_viewer_shows_decoded_pictures_with_layers_and_their_quality(
    opened: Any, report: Path
) -> None:
    page = opened.page
    opened.go("pictures")
    page.get_by_label("Sort by").select_option("name")
    page.get_by_role("button", name="a.png").click()
    page.wait_for_selector(".facts")
    data = data_of(report)
    curves = data["curves"]
    names = [image["name"] for image in data["datasets"][0]["images"]]
    human = next(i for i, c in enumerate(curves) if c["output"] == "human")
    page.get_by_label("Codec of picture 2").select_option(str(human))
    page.get_by_label("Point of picture 2").select_option(label="fine60")
    page.wait_for_function(
        "[...document.querySelectorAll('.view img')].every(n => n.naturalWidth === 80)"
    )
    facts = page.locator(".facts").nth(1).inner_text()
    assert "layer base" in facts
    assert "layer enhancement" in facts
    psnr = curves[human]["images"]["psnr_rgb"][curves[human]["points"].index("fine60")]
    assert f"PSNR-RGB\n{psnr[names.index('a.png')]:.2f} dB" in facts


def test_zoom_and_pan_move_all_pictures_in_step(opened: Any) -> None:
    page = opened.page
    opened.go("pictures")
    page.get_by_role("button", name="Add picture").click()
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".view").first.hover()
    page.mouse.wheel(0, -200)

    def places() -> list[str]:
        return page.eval_on_selector_all(".sheet", "all => all.map(n => n.style.transform)")

    zoomed = places()
    assert len(zoomed) == 3
    assert len(set(zoomed)) == 1
    assert zoomed[0] != "translate(0px, 0px) scale(1)"
    page.keyboard.press("ArrowRight")
    moved = places()
    assert len(set(moved)) == 1
    assert moved != zoomed
    page.keyboard.press("0")
    assert set(places()) == {"translate(0px, 0px) scale(1)"}


def test_slider_and_difference_compare_two_pictures(opened: Any) -> None:
    page = opened.page
    opened.go("pictures")
    page.get_by_role("button", name="slider").click()
    slider = page.get_by_role("slider")
    before = page.locator(".split").evaluate("node => node.style.clipPath")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator(".split").evaluate("node => node.style.clipPath") != before
    page.get_by_role("button", name="difference").click()
    assert page.locator(".minus").evaluate("n => getComputedStyle(n).mixBlendMode") == "difference"
    # The original against itself differs nowhere: what is seen is black.
    for k in (1, 2):
        page.get_by_label(f"Codec of picture {k}").select_option("original")
    page.wait_for_function("[...document.querySelectorAll('.view img')].every(n => n.complete)")
    assert _brightest(page) == 0
    page.get_by_label("Codec of picture 2").select_option(label="jpeg")
    page.wait_for_function("[...document.querySelectorAll('.view img')].every(n => n.complete)")
    assert _brightest(page) > 0


def _brightest(page: Any) -> int:
    import io

    import numpy as np
    from PIL import Image

    page.wait_for_timeout(100)
    shot = page.locator(".view").screenshot()
    picture = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))
    height, width = picture.shape[:2]
    # Its corners are round: the page shines through there.
    return int(picture[height // 4 : -height // 4, width // 4 : -width // 4].max())


def test_predictions_are_drawn_as_kept_and_lost(opened: Any) -> None:
    page = opened.page
    opened.go("pictures")
    page.get_by_label("Sort by").select_option("name")
    page.get_by_role("button", name="a.png").click()
    page.wait_for_selector(".facts")
    assert page.locator(".view").first.locator("rect").count() == 2
    # Nothing is left of either patch in a flat picture.
    page.get_by_label("Codec of picture 2").select_option(label="flat")
    assert "0 kept, 2 lost, 0 invented" in page.locator(".facts").nth(1).inner_text()
    second = page.locator(".view").nth(1).locator("rect")
    assert second.count() == 2
    page.get_by_label("Codec of picture 2").select_option(label="single")
    assert "2 kept, 0 lost, 0 invented" in page.locator(".facts").nth(1).inner_text()
    page.get_by_label("kept").uncheck()
    assert second.count() == 0


def test_boxes_and_their_texts_keep_their_size_when_pictures_grow(opened: Any) -> None:
    page = opened.page
    opened.go("pictures")
    page.wait_for_selector(".view text")

    def sizes() -> list[float]:
        return page.locator(".view").first.evaluate(
            """view => {
              const scale = new DOMMatrix(view.querySelector(".sheet").style.transform).a;
              const of = (node, name) => scale * parseFloat(getComputedStyle(node)[name]);
              return [of(view.querySelector("rect"), "strokeWidth"),
                      of(view.querySelector("text"), "fontSize")];
            }"""
        )

    before = sizes()
    for _ in range(3):
        page.keyboard.press("+")
    assert "scale(1)" not in page.locator(".sheet").first.get_attribute("style")
    assert sizes() == pytest.approx(before, rel=0.01)


def test_a_point_of_the_scatter_opens_its_picture(opened: Any) -> None:
    page = opened.page
    opened.go("images")
    page.get_by_label("A, across").select_option(label="jpeg quality10")
    page.get_by_label("B, up").select_option(label="webp quality50")
    over(page, page.locator(".scatterlayer .point").first)
    page.locator("#tip").wait_for(state="visible")  # the chart takes clicks where it saw the mouse
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector('#tab-pictures[aria-selected="true"]')
    chosen = [page.get_by_label(f"Codec of picture {k}").locator("option:checked").inner_text()
              for k in (1, 2)]  # fmt: skip
    assert chosen == ["jpeg", "webp"]


def test_names_with_markup_are_text(opened: Any, report: Path) -> None:
    page = opened.page
    for tab in TABS:
        opened.go(tab)
        assert page.locator('img[src="x"]').count() == 0
        assert page.locator("#panel script, #panel b b, #panel i").count() == 0
    opened.go("provenance")
    assert "<b>no</b> room" in page.locator("#panel").inner_text()
    opened.go("pictures")
    assert page.get_by_role("button", name="<img src=x onerror=").is_visible()
    assert "<script>" not in re.sub(r"<script[ >][\s\S]*", "", page.content())


def test_every_control_has_a_name(opened: Any) -> None:
    nameless = """() => [...document.querySelectorAll("button, select, input, a")].filter((n) =>
      !(n.getAttribute("aria-label") || n.textContent.trim() && n.tagName !== "SELECT"
        || n.closest("label")?.textContent.trim())).map((n) => n.outerHTML)"""
    for tab in TABS:
        opened.go(tab)
        assert [n for n in opened.page.evaluate(nameless) if "modebar" not in n] == []
    opened.go("pictures")
    # The first of a group, which a label around the group would give the label's name.
    assert opened.page.get_by_role("button", name="side by side", exact=True).is_visible()


def test_failures_partial_points_and_the_command_stand_in_provenance(opened: Any) -> None:
    opened.go("provenance")
    text = opened.page.locator("#panel").inner_text()
    assert "ValueError: <b>no</b> room" in text
    assert "2 of 3" in text
    assert "numpy" in text or "imagecodecs" in text
    opened.go("overview")
    assert "3\nfailed cells" in opened.page.locator(".tiles").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_mode_follows_the_system_and_the_button(
    browser: Any, report: Path, scheme: str
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto((report / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")

    def lightness() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return int(re.findall(r"\d+", colour)[0])

    assert (lightness() > 128) == (scheme == "light")
    for _ in range(1 if scheme == "dark" else 2):
        page.get_by_role("button", name="Theme").click()
    assert (lightness() > 128) == (scheme == "dark")
    page.close()


def test_a_phone_never_scrolls_sideways(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto((report / "index.html").as_uri())
    for tab in TABS:
        page.click(f"#tab-{tab}")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, tab
    page.close()


def test_the_layout_does_not_shift_while_the_page_loads(browser: Any, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(entry) => { window.shift += entry.value; })).observe({type: 'layout-shift', "
        "buffered: true});"
    )
    page.goto((report / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(500)
    assert page.evaluate("window.shift") < 0.02
    page.close()
