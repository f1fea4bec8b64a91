"""Makes the sample shop's sales and stock: `python -m tools.shop_sales FOLDER [--future DAYS]`.

Two years of daily sales of 26 items: steady ones with a rhythm of the week, candles and blankets for the winter, furniture that sells now
and then, promotions, one order of a café, a time out of stock, returns, two days that were lost, an item that is new and one of some
months. `--future` also writes what is sold in the days after, as `future.csv`: nothing is fitted to it.
"""

from __future__ import annotations

import argparse
import csv
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FIRST, LAST = datetime.date(2024, 11, 25), datetime.date(2026, 11, 29)
LOST = (datetime.date(2025, 8, 12), datetime.date(2025, 8, 13))
WEEK = np.array([0.85, 0.8, 0.85, 0.95, 1.15, 1.35, 1.05])
SEED = 11


@dataclass(frozen=True)
class Sold:
    """How an item sells: pieces a day in the mean, growth a year, the swing of the year with its highest day of the year, and how far days
    scatter beyond chance (1 is chance alone)."""

    sku: str
    a_day: float
    growth: float = 1.0
    swing: float = 0.0
    highest: int = 350
    scatter: float = 1.4
    supplier: str = "Harbour Mill"
    lead: int = 7
    pack: int = 6
    weeks_in_stock: float = 2.0


ITEMS = (
    Sold("CU-001", 9.0, 1.1, 0.15, supplier="Pennine Textiles", lead=9, pack=10, weeks_in_stock=0.9),
    Sold("CU-002", 5.5, 1.0, 0.15, supplier="Pennine Textiles", lead=9, pack=10),
    Sold("CU-011", 4.0, 0.8, supplier="Pennine Textiles", lead=9, pack=10, weeks_in_stock=4),
    Sold("CE-001", 12.0, 1.15, supplier="Stoke Pottery", lead=14, pack=12, weeks_in_stock=2.5),
    Sold("CE-003", 10.0, 1.1, supplier="Stoke Pottery", lead=14, pack=12, weeks_in_stock=5),
    Sold("CE-005", 14.0, 1.2, 0.1, supplier="Stoke Pottery", lead=14, pack=24, weeks_in_stock=3),
    Sold("CE-009", 2.2, supplier="Stoke Pottery", lead=14, pack=6),
    Sold("CE-015", 3.0, supplier="Stoke Pottery", lead=14, pack=6, weeks_in_stock=6),
    Sold("PA-001", 3.5, 1.0, 0.2, supplier="Sheffield Forge", lead=12, pack=4),
    Sold("PA-007", 4.5, 0.9, supplier="Sheffield Forge", lead=12, pack=4),
    Sold("BE-009", 6.0, 1.05, supplier="Pennine Textiles", lead=9, pack=10, weeks_in_stock=1.5),
    Sold("BE-001", 1.6, supplier="Pennine Textiles", lead=9, pack=2),
    Sold("CA-001", 7.0, 1.1, 0.75, 345, supplier="Chandlery", lead=5, pack=12, weeks_in_stock=1),
    Sold("CA-003", 5.0, 1.0, 0.6, 345, supplier="Chandlery", lead=5, pack=12),
    Sold("CA-007", 4.0, 1.1, 0.85, 350, supplier="Chandlery", lead=5, pack=12, weeks_in_stock=3),
    Sold("CA-009", 8.0, 1.0, 0.5, 345, supplier="Chandlery", lead=5, pack=24, weeks_in_stock=2),
    Sold("BE-015", 2.5, 1.1, 0.8, 15, supplier="Pennine Textiles", lead=9, pack=4),
    Sold("RU-011", 3.2, 1.0, 0.4, 300, supplier="Sisal and Coir", lead=21, pack=5, weeks_in_stock=3),
    Sold("RU-005", 0.30, supplier="Sisal and Coir", lead=21, pack=1, weeks_in_stock=6),
    Sold("RU-001", 0.15, supplier="Sisal and Coir", lead=21, pack=1, weeks_in_stock=12),
    Sold("FU-007", 0.25, supplier="Fernleigh Joinery", lead=28, pack=1, weeks_in_stock=3),
    Sold("FU-001", 0.07, supplier="Fernleigh Joinery", lead=28, pack=1, weeks_in_stock=15),
    Sold("FU-011", 0.10, supplier="Fernleigh Joinery", lead=28, pack=1, weeks_in_stock=10),
    Sold("LA-001", 1.1, supplier="Alder Lighting", lead=10, pack=2),
    Sold("LA-015", 2.4, supplier="Alder Lighting", lead=10, pack=6, weeks_in_stock=5),
    Sold("LA-009", 1.8, supplier="Alder Lighting", lead=10, pack=6),
)
SINCE = {"LA-009": datetime.date(2026, 11, 12), "LA-015": datetime.date(2026, 7, 20)}
"""Items that came later."""
PROMOTED = {
    "CU-001": ((datetime.date(2025, 5, 2), 4), (datetime.date(2026, 5, 1), 4)),
    "PA-007": ((datetime.date(2025, 9, 12), 3), (datetime.date(2026, 9, 11), 3)),
    "CE-005": ((datetime.date(2025, 7, 4), 3),),
}
UPLIFT = 2.6
CAFE = ("CE-005", datetime.date(2026, 3, 18), 120)
OUT = ("PA-001", datetime.date(2026, 2, 3), 16)
RETURNED = 0.012
_MOST_DAYS = 2_000


def made(days: int = 0) -> tuple[list[tuple[str, str, int, str]], list[tuple[str, str, int, str]]]:
    """Rows of date, sku, quantity and promotion: those of the two years, and those of some days after."""
    every = [FIRST + datetime.timedelta(days=place) for place in range((LAST - FIRST).days + 1 + days)]
    past: list[tuple[str, str, int, str]] = []
    future: list[tuple[str, str, int, str]] = []
    for number, item in enumerate(ITEMS):
        rng = np.random.default_rng([SEED, number])
        level = np.cumprod(np.exp(rng.normal(0, 0.006, _MOST_DAYS)))
        for place, day in enumerate(every):
            season = 1 + item.swing * np.cos(2 * np.pi * (day.timetuple().tm_yday - item.highest) / 365.25)
            mean = item.a_day * level[place] * item.growth ** (place / 365.25) * season * WEEK[day.weekday()]
            promoted = any(0 <= (day - start).days < length for start, length in PROMOTED.get(item.sku, ()))
            mean *= UPLIFT if promoted else 1.0
            sold = int(rng.negative_binomial(mean / (item.scatter - 1), 1 / item.scatter))
            returned = int(rng.random() < RETURNED and sold > 0)
            out = item.sku == OUT[0] and 0 <= (day - OUT[1]).days < OUT[2]
            if day < SINCE.get(item.sku, FIRST) or day in LOST or out:
                continue
            sold += CAFE[2] if (item.sku, day) == CAFE[:2] else 0
            rows = past if day <= LAST else future
            if sold:
                rows.append((day.isoformat(), item.sku, sold, "yes" if promoted else ""))
            if returned:
                rows.append((day.isoformat(), item.sku, -1, ""))
    return sorted(past), sorted(future)


def stock(names: dict[str, str]) -> list[tuple[object, ...]]:
    """Rows of the stock table: what lies there, and how the supplier delivers."""
    rng = np.random.default_rng(SEED + 1)
    rows: list[tuple[object, ...]] = []
    for item in ITEMS:
        lies = round(item.a_day * (item.lead + 7 * item.weeks_in_stock) * rng.uniform(0.8, 1.2) * item.growth**2)
        coming = item.pack * 2 if item.sku in ("CE-001", "BE-001") else 0
        rows.append((item.sku, names[item.sku], lies, coming, item.supplier, item.lead, item.pack))
    rows.append(("CU-099", "Harvest Cushion", 12, 0, "Pennine Textiles", 9, 10))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `sales.csv`, `stock.csv` and, if asked, `future.csv`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--future", type=int, default=0, metavar="DAYS")
    given = parser.parse_args(arguments)
    samples = Path(__file__).parents[1] / "src" / "smidgen" / "samples" / "homeware"
    with (samples / "products.csv").open(encoding="utf-8", newline="") as file:
        names = {row["sku"]: row["name"] for row in csv.DictReader(file)}
    past, future = made(given.future)
    tables: dict[str, tuple[tuple[str, ...], Sequence[tuple[object, ...]]]] = {
        "sales.csv": (("date", "sku", "quantity", "promotion"), past),
        "stock.csv": (("sku", "name", "stock", "on_order", "supplier", "lead_time_days", "pack_size"), stock(names)),
    }
    if given.future:
        tables["future.csv"] = (("date", "sku", "quantity", "promotion"), future)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, (header, rows) in tables.items():
        with (given.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
