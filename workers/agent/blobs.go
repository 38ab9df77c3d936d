package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"potluck/failpoint"
	"potluck/workers/protocol"
)

const (
	blobTimeout  = 90 * time.Second // of one picture, each try
	blobTries    = 3
	firstPreview = 1000 // previews have numbers from here on, results count from 1
)

// checkPicture returns the media type of a PNG or JPEG that may be sent.
func checkPicture(b []byte) (string, error) {
	if len(b) > protocol.MaxBlob {
		return "", fmt.Errorf("picture of %d bytes, at most %d may be sent", len(b), protocol.MaxBlob)
	}
	_, format, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return "", errors.New("picture is neither PNG nor JPEG")
	}
	return "image/" + format, nil
}

// blobs carries pictures of leases over HTTP, with the token of one connection.
type blobs struct {
	client *http.Client
	server string
	token  string
}

func (b blobs) request(ctx context.Context, method, lease string, n int, body []byte) (*http.Request, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(b.server, "/")+protocol.BlobPath+lease+"/"+strconv.Itoa(n), r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	return req, nil
}

// put uploads one picture; it tries again when the network or the server fails, not when the server refuses.
func (b blobs) put(ctx context.Context, lease string, n int, picture []byte) error {
	failpoint.Hit("agent.put")
	kind, err := checkPicture(picture)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		again, err := b.putOnce(ctx, lease, n, picture, kind)
		if err == nil || !again || try == blobTries || ctx.Err() != nil {
			return err
		}
		t := time.NewTimer(time.Duration(try) * time.Second)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

func (b blobs) putOnce(ctx context.Context, lease string, n int, picture []byte, kind string) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	req, err := b.request(ctx, http.MethodPut, lease, n, picture)
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", kind)
	resp, err := b.client.Do(req)
	if err != nil {
		return true, fmt.Errorf("put picture %d: %w", n, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // lets the connection be used again
	switch c := resp.StatusCode; {
	case c >= 200 && c < 300, c == http.StatusConflict: // conflict: it is there already
		return false, nil
	default:
		return c >= 500 || c == http.StatusTooManyRequests, fmt.Errorf("put picture %d: server answered %d", n, c)
	}
}

// get fetches one input picture.
func (b blobs) get(ctx context.Context, lease string, n int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	req, err := b.request(ctx, http.MethodGet, lease, n, nil)
	if err != nil {
		return nil, err
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get picture %d: %w", n, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get picture %d: server answered %d", n, resp.StatusCode)
	}
	picture, err := io.ReadAll(io.LimitReader(resp.Body, protocol.MaxBlob+1))
	if err != nil {
		return nil, fmt.Errorf("get picture %d: %w", n, err)
	}
	if _, err := checkPicture(picture); err != nil {
		return nil, err
	}
	return picture, nil
}
