"""Learning a WordPiece vocabulary, the same one every time.

Here: merging pairs of pieces by how often they stand together. Not here: splitting
texts into words and encoding (`text`).

The trainer of `tokenizers` is not used: it numbers pieces in the order of a hash map,
so ties between pairs fall differently in every run.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

INSIDE = "##"  # marks a piece that does not begin a word


def learn(counts: Mapping[str, int], num_pieces: int) -> list[str]:
    """Returns the pieces of a vocabulary.

    Words start as single characters. Again and again the pair of neighbouring pieces
    with the largest sum of counts becomes one piece, everywhere. This ends when there
    are enough pieces, or when no pair occurs twice. Ties go to the pair that is first
    in the alphabet.

    Args:
        counts: how often each word occurs.
        num_pieces: pieces wanted. Single characters are always in, even if they are
            more.

    Returns:
        characters in alphabetical order, then joined pieces as they were made.

    Example:
        >>> from jsplit.data.wordpiece import learn
        >>> learn({"low": 5, "lower": 2, "new": 3}, 10)
        ['##e', '##o', '##r', '##w', 'l', 'n', '##ow', 'low', '##ew', 'new']
    """
    words = [
        [letter if i == 0 else INSIDE + letter for i, letter in enumerate(word)]
        for word in sorted(counts)
    ]
    weights = [counts[word] for word in sorted(counts)]
    pieces = dict.fromkeys(sorted({piece for word in words for piece in word}))
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    places: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in pairwise(word):
            totals[pair] += weights[i]
            places[pair].add(i)
    queue = [(-total, pair) for pair, total in totals.items()]
    heapq.heapify(queue)
    while queue and len(pieces) < num_pieces:
        total, pair = heapq.heappop(queue)
        if -total != totals[pair]:
            continue  # it was counted anew since, and stands elsewhere in the queue
        if totals[pair] < 2:
            break
        joined = pair[0] + pair[1].removeprefix(INSIDE)
        pieces[joined] = None
        changed: set[tuple[str, str]] = set()
        for i in places.pop(pair):
            for old in pairwise(words[i]):
                totals[old] -= weights[i]
                changed.add(old)
            words[i] = _join(words[i], pair, joined)
            for new in pairwise(words[i]):
                totals[new] += weights[i]
                places[new].add(i)
                changed.add(new)
        for one in changed - {pair}:
            heapq.heappush(queue, (-totals[one], one))
    return list(pieces)


def _join(word: list[str], pair: tuple[str, str], joined: str) -> list[str]:
    """Returns the pieces of a word with every occurrence of a pair as one piece."""
    out, i = [], 0
    while i < len(word):
        here = tuple(word[i : i + 2]) == pair
        out.append(joined if here else word[i])
        i += 2 if here else 1
    return out
