"""What a terminal shows after the bytes that a program has written to it: as much of xterm as
ncurses uses. ncurses writes only what has changed, so a text may be on the screen without ever
having been written as a whole."""
import codecs
import re

# A control sequence with its parameters, a shorter escape, a control character, or a character.
TOKEN = re.compile(r"\x1b\[([?>!]?[\d;]*)([@-~])|\x1b([()].|[=>78M])|"
                   r"([\x00-\x1a\x1c-\x1f])|([^\x1b])", re.DOTALL)
BLANK = " "


class Terminal:
    def __init__(self, columns, rows):
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.rest = self.last = ""
        self.row = self.column = 0
        self.lines = []
        self.resize(columns, rows)

    @property
    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def resize(self, columns, rows):
        self.columns, self.rows, self.top, self.bottom = columns, rows, 0, rows
        self.lines = [(line + [BLANK] * columns)[:columns] for line in self.lines[:rows]]
        self.lines += [[BLANK] * columns for _ in range(rows - len(self.lines))]
        self.move(self.row, self.column)

    def feed(self, data):
        text = self.rest + self.decoder.decode(data)
        at = 0
        while match := TOKEN.match(text, at):
            at = match.end()
            parameters, final, escape, control, character = match.groups()
            if character is not None:
                self.write(character)
            elif control is not None or escape == "M":
                self.control(control or escape)
            elif final is not None and not parameters.startswith(("?", ">", "!")):
                self.sequence(final, [int(one or 0) for one in parameters.split(";")])
        self.rest = text[at:]  # the begin of an escape
        assert len(self.rest) < 20, f"not understood: {self.rest!r}"

    def move(self, row, column):
        self.row = min(max(row, 0), self.rows - 1)
        self.column = min(max(column, 0), self.columns - 1)

    def write(self, character):
        if self.column == self.columns:  # what follows the last column wraps only now
            self.control("\n")
            self.column = 0
        self.lines[self.row][self.column] = self.last = character
        self.column += 1

    def erase(self, row, begin, end):
        for column in range(begin, min(end, self.columns)):
            self.lines[row][column] = BLANK

    def scroll(self, row, count):
        """Moves the lines from `row` to the bottom margin down, or up if `count` is negative."""
        for _ in range(abs(count)):
            gone, new = (self.bottom - 1, row) if count > 0 else (row, self.bottom - 1)
            del self.lines[gone]
            self.lines.insert(new, [BLANK] * self.columns)

    def control(self, character):
        if character == "\b":
            self.move(self.row, self.column - 1)
        elif character == "\r":
            self.move(self.row, 0)
        elif character == "\t":
            self.move(self.row, self.column // 8 * 8 + 8)
        elif character == "\n" and self.row == self.bottom - 1:
            self.scroll(self.top, -1)
        elif character == "\n":
            self.move(self.row + 1, self.column)
        elif character == "M" and self.row == self.top:
            self.scroll(self.top, 1)
        elif character == "M":
            self.move(self.row - 1, self.column)
        else:
            raise AssertionError(f"not understood: {character!r}")

    def sequence(self, final, parameters):
        first, count, second = parameters[0], parameters[0] or 1, (parameters + [0])[1]
        line, column = self.lines[self.row], min(self.column, self.columns - 1)
        moves = {"A": (-count, 0), "B": (count, 0), "C": (0, count), "D": (0, -count)}
        if final in moves:
            self.move(self.row + moves[final][0], column + moves[final][1])
        elif final == "H":
            self.move(count - 1, second - 1)
        elif final == "d":
            self.move(count - 1, column)
        elif final == "G":
            self.move(self.row, count - 1)
        elif final in "JK" and first < 3:
            begin, end = (column, self.columns) if first == 0 else (0, column + 1)
            self.erase(self.row, *((0, self.columns) if first == 2 else (begin, end)))
            before, after = [*range(self.row)], [*range(self.row + 1, self.rows)]
            for row in (after, before, before + after)[first] if final == "J" else ():
                self.erase(row, 0, self.columns)
        elif final == "X":
            self.erase(self.row, column, column + count)
        elif final in "P@":
            rest = line[column + count:] if final == "P" else [BLANK] * count + line[column:]
            line[column:] = (rest + [BLANK] * count)[:self.columns - column]
        elif final in "LM":
            self.scroll(self.row, count if final == "L" else -count)
        elif final in "ST":
            self.scroll(self.top, count if final == "T" else -count)
        elif final == "r":
            self.top, self.bottom = count - 1, second or self.rows
            self.move(0, 0)
        elif final == "b":
            for _ in range(count):
                self.write(self.last)
        elif final not in "mtl" or (final == "l" and parameters != [4]):  # colours, titles, modes
            raise AssertionError(f"not understood: {parameters} {final!r}")
