package imagegen

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"potluck/workers/protocol"
)

// painted is a picture with something on it.
func painted(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / width), uint8(255 * y / height), 90, 255})
		}
	}
	return m
}

func flat(width, height int, c color.Color) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, c)
		}
	}
	return m
}

func asPNG(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func asJPEG(m image.Image) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// bomb is a tiny PNG that declares a huge picture.
func bomb(width, height uint32) []byte {
	body := []byte("IHDR")
	body = binary.BigEndian.AppendUint32(body, width)
	body = binary.BigEndian.AppendUint32(body, height)
	body = append(body, 8, 6, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
}

// chunks lists the types of a PNG's chunks.
func chunks(t *testing.T, data []byte) []string {
	t.Helper()
	var types []string
	for at := 8; at+12 <= len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		body := data[at+4 : at+8+n]
		if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(data[at+8+n:]) {
			t.Errorf("chunk %s has a wrong checksum", body[:4])
		}
		types = append(types, string(body[:4]))
		at += 12 + n
	}
	return types
}

func TestGoodPicturesAreMarked(t *testing.T) {
	text := []byte("tEXtparameters\x00a secret prompt")
	withText := asPNG(painted(512, 512))
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(text)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, text...), crc32.ChecksumIEEE(text))
	withText = append(withText[:headLength:headLength], append(chunk, withText[headLength:]...)...)

	transparent := painted(512, 512)
	for i := 3; i < len(transparent.Pix); i += 8 {
		transparent.Pix[i] = 0
	}
	for name, data := range map[string][]byte{
		"png": asPNG(painted(512, 512)), "jpeg": asJPEG(painted(512, 512)), "png with text and a tail": append(withText, "<script>evil</script>"...), "transparent": asPNG(transparent),
	} {
		p, err := checked(data, 512, 512)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := chunks(t, p.PNG)
		if len(got) < 4 || got[0] != "IHDR" || got[1] != "iTXt" || got[len(got)-1] != "IEND" || strings.Trim(strings.Join(got[2:len(got)-1], ""), "IDAT") != "" {
			t.Errorf("%s: chunks %q", name, got)
		}
		if bytes.Contains(p.PNG, []byte("secret")) || bytes.Contains(p.PNG, []byte("evil")) || !bytes.Contains(p.PNG, []byte("digitalsourcetype/trainedAlgorithmicMedia")) {
			t.Errorf("%s: wrong metadata", name)
		}
		m, err := png.Decode(bytes.NewReader(p.PNG))
		if err != nil || m.Bounds().Dx() != 512 || p.Width != 512 || !pictureName.MatchString(p.Name) {
			t.Fatalf("%s: %v, %+v", name, err, m.Bounds())
		}
		dark, light := 0, 0
		for y := 512 - 30; y < 512; y++ {
			for x := 512 - 40; x < 512; x++ {
				switch r, g, b, _ := m.At(x, y).RGBA(); {
				case r>>8 > 200 && g>>8 > 200 && b>>8 > 200:
					light++
				case r>>8 < 110 && g>>8 < 110 && b>>8 < 110:
					dark++
				}
			}
		}
		if light < 60 || dark < 200 {
			t.Errorf("%s: no visible mark: %d light and %d dark points", name, light, dark)
		}
	}
}

func TestBadPicturesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":         {nil, errNoPicture},
		"text":            {[]byte("sorry, out of memory"), errNoPicture},
		"html":            {[]byte("<html>"), errNoPicture},
		"gif":             {[]byte("GIF89a\x00\x02\x00\x02"), errNoPicture},
		"black":           {asPNG(flat(512, 512, color.Black)), errOneColour},
		"grey jpeg":       {asJPEG(flat(512, 512, color.Gray{127})), errOneColour},
		"transparent":     {asPNG(flat(512, 512, color.Transparent)), errOneColour},
		"wrong size":      {asPNG(painted(512, 448)), errSize},
		"turned":          {asPNG(painted(448, 512)), errSize},
		"bomb":            {bomb(200_000, 200_000), errTooLarge},
		"overflowing":     {bomb(1<<31-1, 1<<31-1), errNoPicture},
		"header only":     {bomb(512, 512), errNoPicture},
		"cut":             {asPNG(painted(512, 512))[:600], errNoPicture},
		"cut jpeg":        {asJPEG(painted(512, 512))[:500], errNoPicture},
		"too many bytes":  {append(asPNG(painted(512, 512)), make([]byte, protocol.MaxBlob)...), errTooLarge},
		"broken checksum": {bytes.Replace(asPNG(painted(512, 512)), []byte("IDAT"), []byte("IDAX"), 1), errNoPicture},
	} {
		if p, err := checked(c.data, 512, 512); !errors.Is(err, c.want) {
			t.Errorf("%s: %s, %v, want %v", name, p.Name, err, c.want)
		}
	}
}

func TestSafePreview(t *testing.T) {
	got, err := SafePreview(asJPEG(painted(64, 48)))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(got)); err != nil || c.Width != 64 || c.Height != 48 {
		t.Errorf("%+v, %v", c, err)
	}
	for name, data := range map[string][]byte{"bomb": bomb(60_000, 60_000), "text": []byte("x"), "large": append(asJPEG(painted(64, 64)), make([]byte, protocol.MaxPreview)...), "many pixels": asPNG(flat(1100, 1000, color.Black))} {
		if _, err := SafePreview(data); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzPictureGate(f *testing.F) {
	f.Add(asPNG(painted(8, 8)))
	f.Add(asJPEG(painted(8, 8)))
	f.Add(bomb(8, 8))
	f.Add(bomb(1024, 1024))
	f.Add(bomb(1<<31-1, 1<<31-1))
	grey, deep, few := image.NewGray(image.Rect(0, 0, 8, 8)), image.NewNRGBA64(image.Rect(0, 0, 8, 8)), image.NewPaletted(image.Rect(0, 0, 8, 8), color.Palette{color.Black, color.White, color.Transparent})
	for i := range 64 {
		grey.Pix[i], few.Pix[i], deep.Pix[8*i+7] = uint8(4*i), uint8(i%3), uint8(i)
	}
	for _, m := range []image.Image{grey, deep, few} {
		f.Add(asPNG(m))
	}
	f.Add(asJPEG(grey))
	f.Add(append([]byte("\xff\xd8\xff\xe1\x00\x0aExif\x00\x00hi"), asJPEG(painted(8, 8))[2:]...))
	f.Add(append(asPNG(painted(8, 8)), "<script>"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		passGate(t, data)
		if mended := withChecksums(data); mended != nil { // a changed byte alone would only ever meet the checksum
			passGate(t, mended)
		}
	})
}

// withChecksums is a PNG whose chunks have the right checksums; nil for what is none.
func withChecksums(data []byte) []byte {
	if !bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) {
		return nil
	}
	out := bytes.Clone(data)
	for at := 8; at+12 <= len(out); {
		n := int(binary.BigEndian.Uint32(out[at:]))
		if n > len(out)-at-12 {
			break
		}
		binary.BigEndian.PutUint32(out[at+8+n:], crc32.ChecksumIEEE(out[at+4:at+8+n]))
		at += 12 + n
	}
	return out
}

// passGate: whatever comes in, a known refusal comes out or a picture of exactly our making.
func passGate(t *testing.T, data []byte) {
	t.Helper()
	refusals := []error{errNoPicture, errSize, errTooLarge, errOneColour}
	refused := func(err error) bool {
		return slices.ContainsFunc(refusals, func(known error) bool { return errors.Is(err, known) })
	}
	preview, err := SafePreview(data)
	if err == nil {
		c, err := jpeg.DecodeConfig(bytes.NewReader(preview))
		if err != nil || c.Width*c.Height > maxPreviewPixels || bytes.Contains(preview, []byte("Exif")) {
			t.Errorf("a preview of %dx%d: %v", c.Width, c.Height, err)
		}
	} else if !refused(err) {
		t.Errorf("the preview: %v", err)
	}
	p, err := checked(data, 8, 8)
	if err != nil {
		if !refused(err) || p.PNG != nil {
			t.Errorf("%v, with a picture of %d bytes", err, len(p.PNG))
		}
		return
	}
	m, err := png.Decode(bytes.NewReader(p.PNG))
	if err != nil || m.Bounds() != image.Rect(0, 0, 8, 8) || len(p.PNG) > 4<<10 {
		t.Fatalf("%d bytes: %v", len(p.PNG), err)
	}
	if o, ok := m.(interface{ Opaque() bool }); !ok || !o.Opaque() {
		t.Errorf("a %T that can be seen through", m)
	}
	if got := strings.Join(chunks(t, p.PNG), " "); got != "IHDR iTXt IDAT IEND" {
		t.Errorf("chunks %s", got)
	}
	if sum := sha256.Sum256(p.PNG); p.Name != hex.EncodeToString(sum[:])+".png" || p.Width != 8 || p.Height != 8 {
		t.Errorf("%s, %dx%d", p.Name, p.Width, p.Height)
	}
	// What stands behind a picture is no part of it.
	if tailed, err := checked(append(bytes.Clone(data), "<script>"...), 8, 8); err == nil && tailed.Name != p.Name {
		t.Error("a tail changes the picture")
	}
}

func BenchmarkChecked(b *testing.B) {
	data := asPNG(painted(768, 768))
	for b.Loop() {
		if _, err := checked(data, 768, 768); err != nil {
			b.Fatal(err)
		}
	}
}
