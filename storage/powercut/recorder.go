// Package powercut lets tests cut the power below a program that writes through SQLite: it records what reaches the files, and builds what a disk may hold after.
package powercut

import (
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"
)

//go:embed testdata/powerlog.c
var source []byte

// recordHead is the size of struct record: what, file, offset, length.
const recordHead = 24

// Recorder stands below one program at a time and records what SQLite does to the files of one folder.
type Recorder struct {
	t      testing.TB
	folder string
	record string
	shim   string
	base   map[string][]byte
}

// known are the calls that powerlog.c records or that do not touch a database; fwrite is for messages.
var known = []string{"open64", "close", "pwrite64", "write", "fwrite", "ftruncate64", "fsync", "unlink"}

// changing are the calls of libc by which a file or a folder can change or become durable.
var changing = regexp.MustCompile(`^_*(open|openat|creat|close|f?p?write|pwritev2?|writev|f?truncate|fsync|fdatasync|sync|syncfs|sync_file_range|unlink|unlinkat|remove|` +
	`rename|renameat2?|link|linkat|symlink|posix_fallocate|fallocate|msync|copy_file_range|sendfile)(64)?$`)

// Below builds the recorder for a program that will keep a database in that folder. It skips the test where that cannot be, and fails it
// when the program's C code knows calls that the recorder does not.
func Below(t testing.TB, program, folder string) *Recorder {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if runtime.GOOS != "linux" || err != nil {
		t.Skip("no Linux with gcc here: the recorder below SQLite cannot be built")
	}
	folder, err = filepath.EvalSymlinks(folder)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &Recorder{t: t, folder: folder, shim: filepath.Join(dir, "powerlog.so"), record: filepath.Join(dir, "record")}
	c := filepath.Join(dir, "powerlog.c")
	if err := os.WriteFile(c, source, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", r.shim, c, "-ldl", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("build the recorder: %v\n%s", err, out)
	}
	r.check(program)
	return r
}

func (r *Recorder) check(program string) {
	r.t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	imported, err := file.ImportedSymbols()
	if err != nil {
		r.t.Fatal(err)
	}
	var unknown []string
	for _, s := range imported {
		if changing.MatchString(s.Name) && !slices.Contains(known, s.Name) {
			unknown = append(unknown, s.Name)
		}
	}
	if len(unknown) > 0 {
		r.t.Fatalf("the program's C code also calls %v: testdata/powerlog.c must learn them", unknown)
	}
}

// Environ is what the program needs in its environment.
func (r *Recorder) Environ() []string {
	return []string{"LD_PRELOAD=" + r.shim, "POWER_FOLDER=" + r.folder, "POWER_LOG=" + r.record}
}

// Begin is called before each life of the program: what lies in the folder now is durable, and the record begins anew.
func (r *Recorder) Begin() {
	r.t.Helper()
	r.base = ReadFiles(r.t, r.folder)
	if err := os.Remove(r.record); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
}

// Length of the record in bytes, for Record.End: whatever has happened before this call is in it.
func (r *Recorder) Length() int64 {
	info, err := os.Stat(r.record)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Disk is as it was when this life began. lies tells of which files an fsync is swallowed ("" is the folder); nil: of none.
func (r *Recorder) Disk(lies func(name string) bool) *Disk { return NewDisk(r.base, lies) }

// Records reads what this life has recorded. A kill may have cut the last record: that call had not returned.
func (r *Recorder) Records() []Record {
	r.t.Helper()
	b, err := os.ReadFile(r.record)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []Record
	for at := 0; len(b)-at >= recordHead; {
		c := Record{
			what: binary.NativeEndian.Uint32(b[at:]), file: binary.NativeEndian.Uint32(b[at+4:]), offset: int64(binary.NativeEndian.Uint64(b[at+8:])),
		}
		n := int(binary.NativeEndian.Uint64(b[at+16:]))
		if len(b)-at-recordHead < n {
			break
		}
		c.data = b[at+recordHead : at+recordHead+n]
		at += recordHead + n
		c.End = int64(at)
		all = append(all, c)
	}
	return all
}

// databaseFiles are what SQLite keeps in a folder; -shm is memory.
var databaseFiles = []string{"potluck.db", "potluck.db-wal", "potluck.db-journal"}

// ReadFiles reads the files of a database that nobody has open.
func ReadFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range databaseFiles {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			files[name] = b
		} else if !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return files
}

// WriteFiles makes the folder hold exactly these files of a database, besides others.
func WriteFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for _, name := range append(databaseFiles, "potluck.db-shm") {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if !slices.Contains(databaseFiles, name) {
			t.Fatalf("the program wrote %s, which this test does not know", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
