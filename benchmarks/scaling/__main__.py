"""`python -m benchmarks.scaling` draws docs/scaling.md and its picture from results.json anew.

`make bench ONLY=scaling` makes the results, too.
"""

from benchmarks.scaling.making import drawn

if __name__ == "__main__":
    drawn()
