package discord

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	_ "image/png" // the server's own pictures

	"golang.org/x/image/draw"

	"potluck/bot"
)

// defaultFileLimit is what Discord takes where an interaction tells no other limit.
const defaultFileLimit = 10 << 20

// fitting returns a picture in at most limit bytes: as it is, else as a JPEG, in the end a smaller one. Its machine-readable AI mark stays.
func fitting(p bot.Picture, limit int) (data []byte, kind string, err error) {
	kind = "image/png"
	if bytes.HasPrefix(p.Data, []byte{0xff, 0xd8}) {
		kind = "image/jpeg"
	}
	if len(p.Data) <= limit {
		return p.Data, kind, nil
	}
	picture, _, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil {
		return nil, "", fmt.Errorf("make a picture smaller: %w", err)
	}
	mark := xmpOf(p.Data)
	for size := picture.Bounds().Size(); size.X >= 16 && size.Y >= 16; size = size.Div(2) {
		small := image.NewRGBA(image.Rectangle{Max: size})
		draw.CatmullRom.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)
		for _, quality := range []int{92, 80, 65} {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, small, &jpeg.Options{Quality: quality}); err != nil {
				return nil, "", fmt.Errorf("make a picture smaller: %w", err)
			}
			if data := withXMP(b.Bytes(), mark); len(data) <= limit {
				return data, "image/jpeg", nil
			}
		}
	}
	return nil, "", errors.New("a picture that cannot be made small enough")
}

// xmpOf returns the XMP packet of a PNG, nil if it has none.
func xmpOf(png []byte) []byte {
	if len(png) < 8 {
		return nil
	}
	for rest := png[8:]; len(rest) >= 12; {
		n := int(binary.BigEndian.Uint32(rest))
		if n < 0 || n > len(rest)-12 {
			return nil
		}
		// Keyword, two zero bytes for "not compressed", then two empty strings: language and translated keyword.
		packet, ok := bytes.CutPrefix(rest[8:8+n], []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"))
		if string(rest[4:8]) == "iTXt" && ok {
			return packet
		}
		rest = rest[12+n:]
	}
	return nil
}

// withXMP puts an XMP packet into a JPEG, right behind its beginning.
func withXMP(data, xmp []byte) []byte {
	const name = "http://ns.adobe.com/xap/1.0/\x00"
	n := 2 + len(name) + len(xmp)
	if len(xmp) == 0 || n > 0xffff || len(data) < 2 {
		return data
	}
	out := append([]byte{}, data[:2]...)
	out = append(out, 0xff, 0xe1, byte(n>>8), byte(n))
	out = append(append(append(out, name...), xmp...), data[2:]...)
	return out
}
