package consent

import "testing"

func TestPayloadsAreBase64(t *testing.T) {
	t.Parallel()
	if _, err := sealedHTML("<script>"); err == nil {
		t.Error("markup is let into a page")
	}
	if got, err := sealedHTML("ab+/=\n"); err != nil || string(got) != "ab+/=\n" {
		t.Errorf("%q, %v", got, err)
	}
}
