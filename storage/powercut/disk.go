package powercut

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// What testdata/powerlog.c records.
const (
	opened uint32 = 1 + iota
	written
	truncated
	synced
	folderSynced
	unlinked
)

// Record is one call of the program that changed a file or asked for that to be durable.
type Record struct {
	what   uint32
	file   uint32 // number of the open()
	offset int64  // of a write; the new size of a truncation
	data   []byte // what was written, or the name
	End    int64  // length of the whole record once this call had returned
}

// inode is a file's content, whatever its name.
type inode struct {
	durable []byte
	pending []Record // writes and truncations since the last fsync, in order
}

// change is a name that was given to a file, or taken away (nil), since the folder's last fsync.
type change struct {
	name string
	to   *inode
}

// Disk is a folder as a program sees it and as it would be after a power cut. It is as strict as POSIX allows: a write is durable after
// fsync of its file, a name after fsync of its folder, and until then each sector of each write may be there or not, in any order.
type Disk struct {
	names   map[string]*inode // as the program sees them
	durable map[string]*inode
	changes []change
	files   map[uint32]*inode // by number of the open()
	lies    func(name string) bool
	named   map[*inode]string
	Syncs   int // asked for, of files
	Pages   int // writes to the database itself: checkpoints
}

// NewDisk begins with files that are durable. lies tells of which files an fsync is swallowed; it may be nil.
func NewDisk(base map[string][]byte, lies func(name string) bool) *Disk {
	d := &Disk{names: map[string]*inode{}, durable: map[string]*inode{}, files: map[uint32]*inode{}, lies: lies, named: map[*inode]string{}}
	for name, content := range base {
		i := &inode{durable: slices.Clone(content)}
		d.names[name], d.durable[name], d.named[i] = i, i, name
	}
	return d
}

func (d *Disk) Do(r Record) {
	switch r.what {
	case opened:
		name := string(r.data)
		i := d.names[name]
		if i == nil {
			i = &inode{}
			d.names[name], d.named[i] = i, name
			d.changes = append(d.changes, change{name, i})
		}
		d.files[r.file] = i
	case written, truncated:
		i := d.files[r.file]
		i.pending = append(i.pending, r)
		if r.what == written && strings.HasSuffix(d.named[i], ".db") {
			d.Pages++
		}
	case synced:
		i := d.files[r.file]
		d.Syncs++
		if d.lies != nil && d.lies(d.named[i]) {
			return
		}
		for _, p := range i.pending {
			i.durable = p.applied(i.durable)
		}
		i.pending = nil
	case folderSynced:
		if d.lies != nil && d.lies("") {
			return
		}
		d.durable, d.changes = maps.Clone(d.names), nil
	case unlinked:
		delete(d.names, string(r.data))
		d.changes = append(d.changes, change{string(r.data), nil})
	default:
		panic(fmt.Sprint("unknown record ", r.what))
	}
}

func (r Record) applied(content []byte) []byte {
	if r.what == truncated {
		return resized(content, r.offset)
	}
	content = resized(content, max(int64(len(content)), r.offset+int64(len(r.data))))
	copy(content[r.offset:], r.data)
	return content
}

// resized has zeros where there was nothing.
func resized(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}

// sector is what a disk writes at once at the least.
const sector = 512

// torn are the sectors of a write that the disk still made durable.
func (r Record) torn(random *rand.Rand) []Record {
	var kept []Record
	for at := 0; at < len(r.data); {
		next := min(len(r.data), at+sector-int((r.offset+int64(at))%sector))
		if random.IntN(2) == 0 {
			kept = append(kept, Record{what: written, offset: r.offset + int64(at), data: r.data[at:next]})
		}
		at = next
	}
	return kept
}

// Cut returns the files after a power cut now. random nil: everything that was not synced is lost. Otherwise the disk has kept some of it:
// whole, torn, and without regard to order.
func (d *Disk) Cut(random *rand.Rand) map[string][]byte {
	names := maps.Clone(d.durable)
	keep := 0.0
	if random != nil {
		keep = []float64{0.05, 0.5, 0.9, 1}[random.IntN(4)]
		stuck := map[string]bool{} // what happens to one name happens in order
		for _, c := range d.changes {
			switch {
			case stuck[c.name] || random.Float64() >= keep:
				stuck[c.name] = true
			case c.to == nil:
				delete(names, c.name)
			default:
				names[c.name] = c.to
			}
		}
	}
	after := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := names[name]
		content := slices.Clone(i.durable)
		for _, p := range i.pending {
			if random == nil || random.Float64() >= keep {
				continue
			}
			if p.what == truncated || random.IntN(2) == 0 {
				content = p.applied(content)
				continue
			}
			for _, s := range p.torn(random) {
				content = s.applied(content)
			}
		}
		after[name] = content
	}
	return after
}

// Moments picks n moments of a life, each the number of records before it, sorted: half of them anywhere, half of them where something else
// than a write to a journal happens, a checkpoint above all.
func Moments(records []Record, n int, random *rand.Rand) []int {
	var rare []int
	names := map[uint32]string{}
	for i, r := range records {
		if r.what == opened {
			names[r.file] = string(r.data)
		}
		if r.what != written && r.what != synced || strings.HasSuffix(names[r.file], ".db") {
			rare = append(rare, i)
		}
	}
	moments := make([]int, n)
	for i := range moments {
		if i%2 == 0 || len(rare) == 0 {
			moments[i] = random.IntN(len(records) + 1)
		} else {
			moments[i] = rare[random.IntN(len(rare))] + random.IntN(2)
		}
	}
	slices.Sort(moments)
	return moments
}

// Choices are the disk's for one power cut; every third time nil, the disk that keeps nothing.
func Choices(random *rand.Rand) *rand.Rand {
	if random.IntN(3) == 0 {
		return nil
	}
	return rand.New(rand.NewPCG(random.Uint64(), 0))
}
