package imagegen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"slices"
)

// letters of the visible mark, 5 × 7.
var letters = [][7]string{
	{".###.", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"},
	{"#####", "..#..", "..#..", "..#..", "..#..", "..#..", "#####"},
}

// mark draws a small "AI" into the lower right corner.
func mark(m *image.RGBA) {
	b := m.Bounds()
	unit := max(1, min(b.Dx(), b.Dy())/256)
	w, h := 15*unit, 11*unit // two letters, a gap and a border of two units
	at := image.Pt(b.Max.X-w-2*unit, b.Max.Y-h-2*unit)
	draw.Draw(m, image.Rectangle{at, at.Add(image.Pt(w, h))}, image.NewUniform(color.RGBA{0, 0, 0, 150}), image.Point{}, draw.Over)
	white := image.NewUniform(color.RGBA{235, 235, 235, 235})
	for n, letter := range letters {
		for y, row := range letter {
			for x, dot := range row {
				if dot == '#' {
					p := at.Add(image.Pt((2+6*n+x)*unit, (2+y)*unit))
					draw.Draw(m, image.Rectangle{p, p.Add(image.Pt(unit, unit))}, white, image.Point{}, draw.Over)
				}
			}
		}
	}
}

// xmp says to machines that a picture was made by a trained algorithm, in the words of the IPTC.
const xmp = `<?xpacket begin="` + "\uFEFF" + `" id="W5M0MpCehiHzreSzNTczkc9d"?>` +
	`<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">` +
	`<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" ` +
	`Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"%s/>` +
	`</rdf:RDF></x:xmpmeta><?xpacket end="r"?>`

// signed gives each picture of a job an id and with it a name of its own: two people who have the same wish drawn from the same seed get two
// files, so that one may delete theirs. The same job always gives the same files.
func signed(pictures []Picture, job int64) []Picture {
	out := slices.Clone(pictures)
	for i := range out {
		p := &out[i]
		p.PNG = withXMP(withoutXMP(p.PNG), fmt.Sprintf("potluck-%d-%d", job, i+1))
		p.Name = nameOf(p.PNG)
	}
	return out
}

// headLength is the PNG signature and its first chunk, which must stay in front.
const headLength = 8 + 4 + 4 + 13 + 4

// withXMP puts xmp into a PNG as an iTXt chunk, with the picture's id where it has one.
func withXMP(png []byte, id string) []byte {
	if id != "" {
		id = ` Iptc4xmpExt:DigImageGUID="` + id + `"`
	}
	body := append([]byte("iTXtXML:com.adobe.xmp\x00\x00\x00\x00\x00"), fmt.Sprintf(xmp, id)...)
	var b bytes.Buffer
	b.Grow(len(png) + len(body) + 8)
	b.Write(png[:headLength])
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body)-4)))
	b.Write(body)
	b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	b.Write(png[headLength:])
	return b.Bytes()
}

// withoutXMP undoes withXMP.
func withoutXMP(png []byte) []byte {
	body := int(binary.BigEndian.Uint32(png[headLength:]))
	return slices.Concat(png[:headLength], png[headLength+4+4+body+4:])
}
