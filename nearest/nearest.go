// Package nearest finds the known word that a mistyped one was probably meant to be, or the place of a misplaced key.
package nearest

// Of returns the word of known with the fewest edits (Damerau-Levenshtein, adjacent swaps count once) from s, or "" when even that
// one differs in more than a third of its letters (at least one, at most three edits). Ties go to the earlier word.
func Of(s string, known []string) string {
	best, bestDistance := "", 1<<30
	for _, k := range known {
		if d := distance([]rune(s), []rune(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	allowed := min(3, max(1, len([]rune(best))/3))
	if bestDistance > allowed {
		return ""
	}
	return best
}

// maxWord bounds the work on hostile input: longer words are never close to a name of ours.
const maxWord = 64

func distance(a, b []rune) int {
	if len(a) > maxWord || len(b) > maxWord {
		return 1 << 29
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
