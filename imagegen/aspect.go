package imagegen

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"potluck/fault"
)

const (
	grid    = 64 // every engine takes multiples of it
	minSide = 512
	// minPixels: smaller numbers than this are a ratio ("16x9"), from here on they are sizes.
	minPixels = 64
)

var sizePattern = regexp.MustCompile(`^(\d{1,5})\s*[:x×*/]\s*(\d{1,5})$`)

// size turns an aspect ("16:9", "16x9", "portrait", "1024x768", empty = square) into the width and height that are drawn. snapped is not empty when
// they are not what was asked for. A bad aspect is fault.BadOption.
func size(aspect, model string) (width, height int, snapped string, err error) {
	asked := aspect
	aspect = strings.ToLower(strings.TrimSpace(norm.NFKC.String(aspect)))
	if aspect == "" {
		aspect = "1:1"
	}
	if a, ok := table().Aspects[aspect]; ok {
		aspect = a
	}
	bad := fault.New(fault.BadOption, "option", "aspect", "value", asked, "want", "1:1, 3:2, 2:3, 16:9, 9:16, square, portrait, landscape")
	m := sizePattern.FindStringSubmatch(aspect)
	if m == nil {
		return 0, 0, "", bad
	}
	w, _ := strconv.Atoi(m[1]) // at most five digits
	h, _ := strconv.Atoi(m[2])
	if w == 0 || h == 0 {
		return 0, 0, "", bad
	}
	pixels := budget(model)
	maxSide := 1024
	if pixels > 768*1024 {
		maxSide = 1536
	}
	if w >= minPixels && h >= minPixels {
		width, height = snap(w, maxSide), snap(h, maxSide)
		if width*height > pixels {
			width, height = best(float64(w)/float64(h), pixels, maxSide)
		}
		if width != w || height != h {
			snapped = fmt.Sprintf("%dx%d", width, height)
		}
		return width, height, snapped, nil
	}
	ratio := float64(w) / float64(h)
	width, height = best(ratio, pixels, maxSide)
	if off := math.Abs(math.Log(float64(width) / float64(height) / ratio)); off > 0.04 { // 4 %: nobody sees less
		d := gcd(width, height)
		snapped = fmt.Sprintf("%d:%d", width/d, height/d)
	}
	return width, height, snapped, nil
}

func snap(n, maxSide int) int { return min(maxSide, max(minSide, (n+grid/2)/grid*grid)) }

// best finds the size within a budget that comes closest to a ratio and, among close ones, is large.
func best(ratio float64, pixels, maxSide int) (width, height int) {
	least := math.Inf(1)
	for w := minSide; w <= maxSide; w += grid {
		for h := minSide; h <= maxSide; h += grid {
			if w*h > pixels {
				break
			}
			cost := math.Abs(math.Log(float64(w)/float64(h)/ratio)) + 0.15*(1-float64(w*h)/float64(pixels))
			if cost < least {
				least, width, height = cost, w, h
			}
		}
	}
	return width, height
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
