package imagegen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"potluck/workers/protocol"
)

// A worker's picture is refused with one of these: it earns nothing and the job is tried elsewhere.
var (
	errNoPicture = errors.New("not a PNG or JPEG")
	errSize      = errors.New("not the size that was asked for")
	errTooLarge  = errors.New("beyond the limits")
	errOneColour = errors.New("one colour all over")
	errBusy      = errors.New("other pictures are being decoded") // of previews only: they are a courtesy
)

const (
	maxPixels        = 4_000_000
	maxPreviewPixels = 1024 * 1024
)

// decoding bounds the memory and the time that pictures from workers take at once: whoever reads, decodes or encodes one holds a slot. A slot is at most 8 MiB
// and 4 MP, about 60 MB on the way.
var decoding = make(chan struct{}, 2)

// checkedFile is checked of a file, as soon as there is a slot for it.
func checkedFile(path string, width, height int) (Picture, error) {
	decoding <- struct{}{}
	defer func() { <-decoding }()
	data, err := readBlob(path)
	if err != nil {
		return Picture{}, err
	}
	return checked(data, width, height)
}

func readBlob(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, protocol.MaxBlob+1)) // one more, so that a longer file is refused and not cut
}

// checked makes a worker's bytes into a Picture: decoded under limits, of exactly the size that was asked for, not of one colour, encoded anew
// without any metadata of theirs and with both marks.
func checked(data []byte, width, height int) (Picture, error) {
	m, err := decoded(data, protocol.MaxBlob, maxPixels, func(c image.Config) error {
		if c.Width != width || c.Height != height {
			return fmt.Errorf("%w: %dx%d instead of %dx%d", errSize, c.Width, c.Height, width, height)
		}
		return nil
	})
	if err != nil {
		return Picture{}, err
	}
	if oneColour(m) {
		return Picture{}, errOneColour
	}
	mark(m)
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return Picture{}, fmt.Errorf("encode picture: %w", err)
	}
	marked := withXMP(b.Bytes(), "")
	return Picture{Name: nameOf(marked), PNG: marked, Width: width, Height: height}, nil
}

func nameOf(png []byte) string {
	sum := sha256.Sum256(png)
	return hex.EncodeToString(sum[:]) + ".png"
}

// decoded reads a PNG or JPEG of at most size bytes and pixels, opaque on white. The header is read and judged before anything is unpacked.
func decoded(data []byte, size, pixels int, fits func(image.Config) error) (*image.RGBA, error) {
	if len(data) > size {
		return nil, fmt.Errorf("%w: %d bytes", errTooLarge, len(data))
	}
	var config func() (image.Config, error)
	var decode func() (image.Image, error)
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		config = func() (image.Config, error) { return png.DecodeConfig(bytes.NewReader(data)) }
		decode = func() (image.Image, error) { return png.Decode(bytes.NewReader(data)) }
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		config = func() (image.Config, error) { return jpeg.DecodeConfig(bytes.NewReader(data)) }
		decode = func() (image.Image, error) { return jpeg.Decode(bytes.NewReader(data)) }
	default:
		return nil, errNoPicture
	}
	c, err := config()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPicture, err)
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > pixels || c.Height > pixels || c.Width*c.Height > pixels {
		return nil, fmt.Errorf("%w: %dx%d", errTooLarge, c.Width, c.Height)
	}
	if err := fits(c); err != nil {
		return nil, err
	}
	m, err := decode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPicture, err)
	}
	if m.Bounds().Dx() != c.Width || m.Bounds().Dy() != c.Height {
		return nil, errSize
	}
	out := image.NewRGBA(image.Rect(0, 0, c.Width, c.Height))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), m, m.Bounds().Min, draw.Over)
	return out, nil
}

// sameColour is how far a channel may stray in a picture of one colour: JPEG makes that much noise.
const sameColour = 6

func oneColour(m *image.RGBA) bool {
	low, high := [3]uint8{255, 255, 255}, [3]uint8{}
	for i := 0; i+3 < len(m.Pix); i += 4 {
		for c := range 3 {
			low[c], high[c] = min(low[c], m.Pix[i+c]), max(high[c], m.Pix[i+c])
		}
	}
	for c := range 3 {
		if high[c]-low[c] > sameColour {
			return false
		}
	}
	return true
}

// SafePreview makes a worker's preview of an unfinished picture fit to show: at most protocol.MaxPreview bytes and 1 MP, decoded and encoded anew as JPEG with the
// visible mark and no metadata. While other pictures take all the room there is for decoding, it is an error: results come first.
func SafePreview(preview []byte) ([]byte, error) {
	select {
	case decoding <- struct{}{}:
		defer func() { <-decoding }()
	default:
		return nil, errBusy
	}
	m, err := decoded(preview, protocol.MaxPreview, maxPreviewPixels, func(image.Config) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	mark(m)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 75}); err != nil {
		return nil, fmt.Errorf("encode preview: %w", err)
	}
	return b.Bytes(), nil
}
