"""A measured table: printed, and put between the markers of a page of the documentation."""
import pathlib
import sys


def run(doc, make, begin, end):
    """`make(folder)` gives the table. Arguments: FOLDER [PAGE]. Returns the exit code."""
    if len(sys.argv) not in (2, 3) or sys.argv[1] in ("-h", "--help"):
        print(doc)
        return 0 if "-h" in sys.argv or "--help" in sys.argv else 2
    text = make(pathlib.Path(sys.argv[1]))
    print(text)
    if len(sys.argv) == 3:
        page = pathlib.Path(sys.argv[2])
        before, rest = page.read_text(encoding="utf-8").split(begin, 1)
        after = rest.split(end, 1)[1]
        page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    return 0
