package house_test

import "testing"

func TestLLMs(t *testing.T) {
	tree := files{
		"AGENTS.md":      "# redoubt, for programs\n\nThe packages,\nand calls.\n\n## Tasks\n\nA task.\n",
		"docs/README.md": "| Page | Content |\n| --- | --- |\n| [A gate](gate.md) | decides |\n",
		"llms.txt":       "# redoubt\n\n> The packages, and calls.\n\n## Tasks\n\nA task.\n\n## Pages\n\n- [A gate](docs/gate.md): decides\n",
	}
	accepts(t, "llms.txt", tree)
	tree["llms.txt"] += "- [more](docs/more.md)\n"
	bites(t, "llms.txt", tree, "llms.txt: is not the text")
}
