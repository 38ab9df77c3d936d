//go:build !race

package faketime

// Exact tells whether goroutines that become ready at the same instant run in the order in which they became so: the race detector's runtime shuffles them.
const Exact = true
