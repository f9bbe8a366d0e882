package main

func Example() {
	main()
	// Output: hello after 3 tries
}
