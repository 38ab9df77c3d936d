package protocol

import "unicode/utf8"

// CutText returns the longest beginning of s with at most n bytes that ends between characters; it is empty for n < 0.
func CutText(s string, n int) string {
	n = max(n, 0)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
