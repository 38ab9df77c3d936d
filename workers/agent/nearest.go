package agent

// Nearest returns the candidate that a person most likely meant by word, or "" when none is near.
func Nearest(word string, candidates []string) string {
	best, bestAt := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		if d := edits(word, c); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// edits counts the letters to insert, drop, change or swap to get from a to b.
func edits(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
