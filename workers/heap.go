package workers

// slot is one place in a heap. Its owner changes key and then calls fix (or, when keys only grow, lets top do it).
type slot[T any] struct {
	key   float64
	tie   uint64 // smaller first when keys are equal
	index int    // in the heap, -1 when in none
	value T
}

// minHeap is a binary heap of slots that know their place, so that any of them can be fixed or removed in O(log n).
type minHeap[T any] []*slot[T]

func (h minHeap[T]) less(i, j int) bool {
	if h[i].key != h[j].key {
		return h[i].key < h[j].key
	}
	return h[i].tie < h[j].tie
}

func (h minHeap[T]) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *minHeap[T]) push(s *slot[T]) {
	s.index = len(*h)
	*h = append(*h, s)
	h.up(s.index)
}

func (h *minHeap[T]) remove(s *slot[T]) {
	i, last := s.index, len(*h)-1
	if i < 0 {
		return
	}
	if i != last {
		h.swap(i, last)
	}
	(*h)[last] = nil
	*h = (*h)[:last]
	s.index = -1
	if i != last {
		h.fix(i)
	}
}

func (h minHeap[T]) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h minHeap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h minHeap[T]) down(i int) bool {
	start := i
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			break
		}
		h.swap(i, child)
		i = child
	}
	return i > start
}
