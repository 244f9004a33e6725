"""python -m repro colorize: photographs in, coloured photographs out."""

import sys
import time
from pathlib import Path

from repro.commands import fail


def add(commands):
    """Add the command to the parser of python -m repro."""
    command = commands.add_parser(
        "colorize", help="colour photographs", description="Colour photographs, at their full size."
    )
    command.add_argument(
        "photos", nargs="+", metavar="PHOTO_OR_FOLDER", help="folders are searched for photographs"
    )
    command.add_argument(
        "--out", required=True, metavar="DIR", help="where the coloured ones are written; made if missing"
    )
    command.add_argument(
        "--weights",
        metavar="FILE",
        help="a trained model, as outputs/models/rebalanced.safetensors of your last run; or regression, "
        "regression_finetuned, classification, rebalanced, encoder (default), which come along",
    )
    command.add_argument("--decoding", choices=("annealed", "mean", "mode"), default="annealed")
    command.add_argument(
        "--temperature", type=float, default=0.38, metavar="T", help="of the annealed mean, default .38"
    )
    command.set_defaults(run=colorize)


def colorize(options):
    """Colour every photograph named; one line for each that cannot be read; exit code 1 if there was any."""
    from repro.colorizer import Colorizer
    from repro.colorizer.weights import WeightsError
    from repro.datasets.photographs import PhotoError, read_photo

    if not options.temperature > 0:
        return fail(
            f"--temperature must be positive, got {options.temperature:g}; for its limit 0 use --decoding mode"
        )
    try:
        pairs = destinations(options.photos, Path(options.out))
        Path(options.out).mkdir(parents=True, exist_ok=True)
        model = Colorizer.load(options.weights, decoding=options.decoding, temperature=options.temperature)
    except (FileNotFoundError, WeightsError) as error:
        return fail(error)
    except OSError as error:
        return fail(f"cannot write to {options.out}: {error.strerror}")
    if not pairs:
        return fail(f"no photographs in {', '.join(options.photos)}")
    print(f"weights: {model.description}")
    failed, began = 0, time.monotonic()
    for number, (source, target) in enumerate(pairs, 1):
        try:
            save_photo(model.colorize(read_photo(source)), target)
        except PhotoError as error:
            failed += 1
            print(f"skipped {error}", file=sys.stderr)
            continue
        except WeightsError as error:
            return fail(error)
        except OSError as error:
            return fail(
                f"cannot write {target}: {error.strerror}; {number - 1 - failed} of {len(pairs)} are done"
            )
        left = (time.monotonic() - began) / number * (len(pairs) - number)
        print(f"[{number}/{len(pairs)}] {target}" + (f"  ({left:.0f} s left)" if left >= 5 else ""), flush=True)
    print(f"{len(pairs) - failed} coloured, {failed} skipped")
    return 1 if failed else 0


def destinations(photos, out):
    """(source, target) of each photograph: folders keep their inner tree, names keep their ending, nothing is
    overwritten twice.

    JPEG stays JPEG; anything else becomes PNG.  Two that would land on one name get -2, -3 ...
    Raises FileNotFoundError for a path that is not there.
    """
    from repro.datasets.photographs import find_photos

    pairs, taken = [], set()
    for given in map(Path, photos):
        for source in find_photos([given]):
            if out.resolve() in source.resolve().parents and given.is_dir():
                continue  # what an earlier run wrote into a folder inside the folder
            inside = source.relative_to(given) if given.is_dir() else Path(source.name)
            target = out / inside.with_suffix(
                source.suffix if source.suffix.lower() in (".jpg", ".jpeg") else ".png"
            )
            stem, count = target.stem, 1
            while target in taken or target.resolve() == source.resolve():
                count += 1
                target = target.with_name(f"{stem}-{count}{target.suffix}")
            taken.add(target)
            pairs.append((source, target))
    return pairs


def save_photo(photo, path):
    """Write (H, W, 3) uint8 whole or not at all: JPEG at quality 95 or PNG, by the path's ending."""
    import io

    from PIL import Image

    from repro.files import write_atomically

    buffer = io.BytesIO()
    if path.suffix.lower() in (".jpg", ".jpeg"):
        Image.fromarray(photo).save(buffer, "JPEG", quality=95, subsampling=0)
    else:
        Image.fromarray(photo).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
