// Package chart draws the pictures in docs as SVG: panels with lines over a
// common axis, labels at the lines, light and dark colors. A picture has two
// forms, for a page of 830 pixels and for a telephone of 350 pixels. Markdown
// chooses with
//
//	<picture>
//	<source media="(max-width: 600px)" srcset="name-narrow.svg">
//	<img src="name.svg" alt="…">
//	</picture>
//
// Package golden compares a picture with its files.
package chart
