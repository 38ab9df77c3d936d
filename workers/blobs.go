package workers

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"potluck/workers/protocol"
)

// uploadsAtOnce is how many of one lease may be under way: a picture and a preview. sendsOfEach is how often each picture may come, or an input go out, for
// those that broke off; the same again is for previews.
const (
	uploadsAtOnce = 2
	sendsOfEach   = 4
)

// blobTimeout bounds one upload or download, so that a slow one cannot keep its connection for ever.
const blobTimeout = 5 * time.Minute

var blobName = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]{1,4}$`)

// holder finds the session whose token the request carries, and in it the lease of the path.
func (l *link) holder(r *http.Request) (s *session, b *binding, n int, status int) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(token) > 128 {
		return nil, nil, 0, http.StatusUnauthorized
	}
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 || n > 9999 {
		return nil, nil, 0, http.StatusNotFound
	}
	id, secret, ok := strings.Cut(token, ".")
	number, err := strconv.ParseUint(id, 10, 64)
	if !ok || err != nil {
		return nil, nil, 0, http.StatusUnauthorized
	}
	l.mu.Lock()
	s = l.sessions[number]
	greeted := s != nil && s.worker != 0
	l.mu.Unlock()
	if !greeted || subtle.ConstantTimeCompare([]byte(secret), []byte(s.secret)) != 1 {
		return nil, nil, 0, http.StatusUnauthorized
	}
	if b = s.binding(r.PathValue("lease")); b == nil {
		return nil, nil, 0, http.StatusNotFound
	}
	return s, b, n, 0
}

// upload serves PUT of a picture (1…count) or a preview (from 1000).
func (l *link) upload(w http.ResponseWriter, r *http.Request) {
	s, b, n, status := l.holder(r)
	if status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	if !b.enter(s) {
		http.Error(w, "one upload after the other", http.StatusTooManyRequests)
		return
	}
	defer b.leave(s)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(blobTimeout)) // not every ResponseWriter can
	switch {
	case n >= firstPreview:
		receivePreview(w, r, b, n)
	case n > b.pictures:
		http.Error(w, "this job has no such picture", http.StatusNotFound)
	default:
		l.receivePicture(w, r, s, b, n)
	}
}

func receivePreview(w http.ResponseWriter, r *http.Request, b *binding, n int) {
	data, err := io.ReadAll(&tolled{http.MaxBytesReader(w, r.Body, protocol.MaxPreview), b})
	switch {
	case errors.Is(err, errTooMuch):
		http.Error(w, "too many bytes for one job", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, fmt.Sprintf("a preview has at most %d KiB", protocol.MaxPreview>>10), http.StatusRequestEntityTooLarge)
	default:
		b.keep(n, data)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (l *link) receivePicture(w http.ResponseWriter, r *http.Request, s *session, b *binding, n int) {
	dir := l.pool.cfg.BlobDir
	err := receive(dir, &tolled{http.MaxBytesReader(w, r.Body, protocol.MaxBlob), b}, func(path string) error {
		if s.binding(b.lease) != b {
			return errEnded
		}
		return b.name(path, filepath.Join(dir, b.lease+"-"+strconv.Itoa(n)))
	})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "a picture has at most 8 MiB", http.StatusRequestEntityTooLarge)
	case errors.Is(err, errEnded):
		http.Error(w, "the job is over", http.StatusNotFound)
	case errors.Is(err, errSealed):
		http.Error(w, "the result is there already", http.StatusConflict)
	case errors.Is(err, errTooMuch):
		http.Error(w, "too many bytes for one job", http.StatusRequestEntityTooLarge)
	case err != nil:
		l.pool.log.Warn("upload broke off", "worker", s.worker, "err", err)
		http.Error(w, "the upload broke off", http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

var (
	errEnded   = errors.New("the lease has ended")
	errSealed  = errors.New("the result is being checked")
	errTooMuch = errors.New("more bytes than the lease may send")
)

// enter lets an upload or download of a lease begin; false when enough are under way in this session. After true the caller calls leave once. Those of a session
// that broke off may hang for minutes, and must not keep the next one from sending.
func (b *binding) enter(s *session) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[s] >= uploadsAtOnce {
		return false
	}
	if b.uploads == nil {
		b.uploads = map[*session]int{}
	}
	b.uploads[s]++
	return true
}

func (b *binding) leave(s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[s]--; b.uploads[s] == 0 {
		delete(b.uploads, s)
	}
}

// tolled counts what is read against what its lease may send in all.
type tolled struct {
	body io.Reader
	b    *binding
}

func (t *tolled) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if t.b.sent += int64(n); t.b.sent > int64(t.b.pictures+1)*sendsOfEach*protocol.MaxBlob {
		return n, errTooMuch
	}
	return n, err
}

// seal ends the uploads of a lease: what is there is looked at, saved or deleted. It may be called again.
func (b *binding) seal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
}

// name gives an uploaded file its name unless the lease is sealed; it holds the lock so that nothing changes behind a seal.
func (b *binding) name(from, to string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sealed {
		return errSealed
	}
	return os.Rename(from, to)
}

// receive writes a body to a temporary file and has it named when it is whole.
func receive(dir string, body io.Reader, name func(path string) error) error {
	f, err := os.CreateTemp(dir, ".upload-*")
	if errors.Is(err, fs.ErrNotExist) { // somebody cleaned up
		if err = os.MkdirAll(dir, 0o700); err == nil {
			f, err = os.CreateTemp(dir, ".upload-*")
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = name(f.Name())
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func (b *binding) keep(n int, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.previews == nil {
		b.previews = map[int][]byte{}
	}
	if b.previews[n] == nil {
		b.order = append(b.order, n)
	}
	b.previews[n] = data
	if len(b.order) > keptPreviews {
		delete(b.previews, b.order[0])
		b.order = b.order[1:]
	}
}

// download serves GET of an input picture (1…n).
func (l *link) download(w http.ResponseWriter, r *http.Request) {
	s, b, n, status := l.holder(r)
	if status == 0 && n > len(b.inputs) {
		status = http.StatusNotFound
	}
	if status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	if !b.enter(s) {
		http.Error(w, "one picture after the other", http.StatusTooManyRequests)
		return
	}
	defer b.leave(s)
	if !b.fetch(n) {
		http.Error(w, "this picture was fetched often enough", http.StatusTooManyRequests)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(blobTimeout))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(b.inputs[n-1])))
	_, _ = w.Write(b.inputs[n-1]) // a worker that hangs up asks again
}

// fetch counts a download of input n against what its lease may fetch in all.
func (b *binding) fetch(n int) bool {
	all := int64(0)
	for _, input := range b.inputs {
		all += int64(len(input))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fetched+int64(len(b.inputs[n-1])) > sendsOfEach*all {
		return false
	}
	b.fetched += int64(len(b.inputs[n-1]))
	return true
}

// deleteBlobs removes what was uploaded for a lease.
func deleteBlobs(dir, lease string, count int) {
	for n := 1; n <= count; n++ {
		os.Remove(filepath.Join(dir, lease+"-"+strconv.Itoa(n)))
	}
}

// removeBlobs deletes files that results named; a path outside the folder is refused, a file that is gone is no error.
func removeBlobs(dir string, paths []string) error {
	var errs []error
	for _, p := range paths {
		if filepath.Dir(filepath.Clean(p)) != filepath.Clean(dir) || !blobName.MatchString(filepath.Base(p)) {
			errs = append(errs, fmt.Errorf("%s is no blob of ours", filepath.Base(p)))
			continue
		}
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sweepBlobs deletes broken uploads and pictures at a start, but not those of leases that may go on or whose results are kept still. What
// is left is what a kill kept from being deleted.
func sweepBlobs(dir string, leases map[string]bool) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, f := range files {
		name := f.Name()
		lease, _, _ := strings.Cut(name, "-")
		if !strings.HasPrefix(name, ".upload-") && (!blobName.MatchString(name) || leases[lease]) {
			continue
		}
		os.Remove(filepath.Join(dir, name))
	}
}
