package hygiene

import "testing"

func TestAlike(t *testing.T) {
	for _, same := range [][]string{
		{"Potluck", "POTLUCK", "Роtluсk", "Pοtluck", "Ｐｏｔｌｕｃｋ", "𝐏𝐨𝐭𝐥𝐮𝐜𝐤", "P\u200botluck", "Pot luck", "P0tluck", "Pötluck", "PotIuck", "ⓅⓄⓉⓁⓊⒸⓀ", "Potl\u3164uck", "@Potluck", "Potluck\ufe0f", "ꓑoꓔluck"},
		{"Operator", "0perator", "Оperаtоr", "орerator"},
		{"Emma", "Ernma"},
		{"", "\u200b", "@ !"[:2], "👩"},
	} {
		for _, s := range same {
			if Alike(s) != Alike(same[0]) {
				t.Errorf("%q (%q) does not look like %q (%q)", s, Alike(s), same[0], Alike(same[0]))
			}
		}
	}
	for _, differ := range [][2]string{{"Anna", "Hanna"}, {"Ольга", "Olga"}, {"名前", "名"}, {"Potluck", "Potlucky"}} {
		if Alike(differ[0]) == Alike(differ[1]) {
			t.Errorf("%q and %q are the same", differ[0], differ[1])
		}
	}
}
