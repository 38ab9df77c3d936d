package commands

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strconv"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	fixedpoint "golang.org/x/image/math/fixed"

	"potluck/bot"
	"potluck/workers"
)

// Sizes of the leaderboard's picture, in pixels: twice what a phone shows, so that it is sharp there.
const (
	chartWidth  = 960
	chartMargin = 40
	chartRow    = 92
	chartBar    = 18
	chartIndent = 92 // where names and bars begin
	chartText   = 30
)

// The card has a colour of its own, between light and dark, because nobody knows on what ground it is shown. What is written on it has a contrast
// of at least 4.5 to it.
var (
	chartGround = color.RGBA{0x7a, 0x2d, 0x18, 0xff}
	chartTrack  = color.RGBA{0x96, 0x45, 0x2b, 0xff}
	chartInk    = color.RGBA{0xff, 0xf8, 0xef, 0xff}
	chartFaint  = color.RGBA{0xf3, 0xd3, 0xc2, 0xff}
	// The first three places, then everybody else.
	chartBars = []color.RGBA{{0xf6, 0xc4, 0x5c, 0xff}, {0xee, 0xdc, 0xc6, 0xff}, {0xf2, 0x9a, 0x72, 0xff}, {0xa9, 0xcf, 0xb0, 0xff}}
)

type chartFonts struct {
	letters         *sfnt.Font
	regular, strong font.Face
}

// fonts are parsed when the first leaderboard is drawn. A face must not be used by two at once: see drawLeaders.
var fonts = sync.OnceValues(func() (f chartFonts, err error) {
	if f.letters, err = opentype.Parse(goregular.TTF); err != nil {
		return f, err
	}
	bold, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return f, err
	}
	size := &opentype.FaceOptions{Size: chartText, DPI: 72, Hinting: font.HintingFull}
	if f.regular, err = opentype.NewFace(f.letters, size); err != nil {
		return f, err
	}
	f.strong, err = opentype.NewFace(bold, size)
	return f, err
})

var drawing sync.Mutex

// drawLeaders draws the first of a leaderboard as bars. It holds figures and names only, so that it reads the same in every language. Instead of
// a name that is not told, or has letters that the font lacks, stands the sign of a person; the text beside it says more.
func drawLeaders(list []workers.Leader) (bot.Picture, error) {
	f, err := fonts()
	if err != nil {
		return bot.Picture{}, err
	}
	drawing.Lock()
	defer drawing.Unlock()
	height := 2*chartMargin + len(list)*chartRow - (chartRow - chartText - chartBar - 16)
	canvas := image.NewRGBA(image.Rect(0, 0, chartWidth, height))
	fill(canvas, canvas.Bounds(), chartGround)
	for i, l := range list {
		f.row(canvas, i, l, float64(l.Earned)/float64(max(list[0].Earned, 1)))
	}
	var b bytes.Buffer
	if err := png.Encode(&b, canvas); err != nil {
		return bot.Picture{}, err
	}
	sum := sha256.Sum256(b.Bytes())
	return bot.Picture{Name: hex.EncodeToString(sum[:]) + ".png", Data: b.Bytes(), Width: chartWidth, Height: height}, nil
}

func (f chartFonts) row(canvas *image.RGBA, i int, l workers.Leader, share float64) {
	top := chartMargin + i*chartRow
	line := top + chartText - 6
	f.write(canvas, f.strong, chartMargin, line, chartFaint, strconv.Itoa(i+1))
	credits := l.Earned.String()
	width := font.MeasureString(f.strong, credits).Ceil()
	f.write(canvas, f.strong, chartWidth-chartMargin-width, line, chartInk, credits)
	if name := f.fitting(l.Name, chartWidth-chartMargin-width-24-chartIndent); name != "" {
		f.write(canvas, f.regular, chartIndent, line, chartInk, name)
	} else {
		person(canvas, chartIndent+chartText/2, line, chartFaint)
	}
	bar := image.Rect(chartIndent, top+chartText+8, chartWidth-chartMargin, top+chartText+8+chartBar)
	fill(canvas, bar, chartTrack)
	bar.Max.X = bar.Min.X + max(int(float64(bar.Dx())*min(max(share, 0), 1)), 6)
	fill(canvas, bar, chartBars[min(i, len(chartBars)-1)])
}

// fitting cuts a name to a width, and is empty for one that the font cannot write.
func (f chartFonts) fitting(name string, width int) string {
	var buf sfnt.Buffer
	for _, c := range name {
		if g, err := f.letters.GlyphIndex(&buf, c); err != nil || g == 0 {
			return ""
		}
	}
	short := name
	for n := len([]rune(name)); n > 1 && font.MeasureString(f.regular, short).Ceil() > width; n-- {
		short = cut(name, n-1)
	}
	return short
}

func (f chartFonts) write(canvas draw.Image, face font.Face, x, y int, ink color.Color, s string) {
	d := font.Drawer{Dst: canvas, Src: image.NewUniform(ink), Face: face, Dot: fixedpoint.P(x, y)}
	d.DrawString(s)
}

// person draws head and shoulders, as tall as a capital, above the line.
func person(canvas *image.RGBA, x, line int, ink color.Color) {
	const head, shoulders = chartText / 5, chartText * 2 / 5
	middle := line - chartText*3/5
	for dy := -chartText; dy < 0; dy++ {
		for dx := -shoulders; dx <= shoulders; dx++ {
			y := line + dy
			inHead := dx*dx+(y-middle)*(y-middle) <= head*head
			below := y - line + 1 // a half circle that stands on the line
			inBody := dx*dx+below*below*2 <= shoulders*shoulders && below > -shoulders
			if inHead || inBody {
				canvas.Set(x+dx, y, ink)
			}
		}
	}
}

func fill(canvas draw.Image, r image.Rectangle, c color.Color) {
	draw.Draw(canvas, r, image.NewUniform(c), image.Point{}, draw.Src)
}
