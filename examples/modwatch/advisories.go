package main

import osv "github.com/redoubt-go/redoubt/semver/advisory"

// An advisory contains the vulnerable versions of a module, as the events of an
// OSV record.
type advisory struct {
	id, module string
	events     []osv.Event
}

// advisories are well-known entries of the Go vulnerability database
// (golang/vulndb, CC BY 4.0) that concern the recorded modules. They are a
// sample of the database, not a substitute for govulncheck.
var advisories = []advisory{
	{"GO-2024-2947", "github.com/hashicorp/go-retryablehttp", []osv.Event{{Introduced: "0"}, {Fixed: "0.7.7"}}},
	{"GO-2020-0012", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}, {Fixed: "0.0.0-20200220183623-bac4c82f6975"}}},
	{"GO-2023-2402", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}, {Fixed: "0.17.0"}}},
	{"GO-2024-3321", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}, {Fixed: "0.31.0"}}},
	{"GO-2025-3487", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}, {Fixed: "0.35.0"}}},
	{"GO-2025-4134", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}, {Fixed: "0.45.0"}}},
	{"GO-2026-5013", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}, {Fixed: "0.52.0"}}},
	{"GO-2026-5932", "golang.org/x/crypto", []osv.Event{{Introduced: "0"}}},
	{"GO-2026-6179", "golang.org/x/mod", []osv.Event{{Introduced: "0"}, {Fixed: "0.40.0"}}},
	{"GO-2021-0238", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.0.0-20210520170846-37e1c6afe023"}}},
	{"GO-2022-0969", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.0.0-20220906165146-f3363e06e74c"}}},
	{"GO-2022-1144", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.4.0"}}},
	{"GO-2023-1495", "golang.org/x/net", []osv.Event{{Introduced: "0.0.0-20220524220425-1d687d428aca"}, {Fixed: "0.1.1-0.20221104162952-702349b0e862"}}},
	{"GO-2023-1571", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.7.0"}}},
	{"GO-2023-2102", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.17.0"}}},
	{"GO-2024-2687", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.23.0"}}},
	{"GO-2024-3333", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.33.0"}}},
	{"GO-2025-3503", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.36.0"}}},
	{"GO-2026-4559", "golang.org/x/net", []osv.Event{{Introduced: "0.50.0"}, {Fixed: "0.51.0"}}},
	{"GO-2026-5942", "golang.org/x/net", []osv.Event{{Introduced: "0"}, {Fixed: "0.56.0"}}},
	{"GO-2025-3488", "golang.org/x/oauth2", []osv.Event{{Introduced: "0"}, {Fixed: "0.27.0"}}},
	{"GO-2022-0493", "golang.org/x/sys", []osv.Event{{Introduced: "0"}, {Fixed: "0.0.0-20220412211240-33da011f77ad"}}},
	{"GO-2026-5024", "golang.org/x/sys", []osv.Event{{Introduced: "0"}, {Fixed: "0.44.0"}}},
	{"GO-2021-0113", "golang.org/x/text", []osv.Event{{Introduced: "0"}, {Fixed: "0.3.7"}}},
	{"GO-2022-1059", "golang.org/x/text", []osv.Event{{Introduced: "0"}, {Fixed: "0.3.8"}}},
	{"GO-2026-5970", "golang.org/x/text", []osv.Event{{Introduced: "0"}, {Fixed: "0.39.0"}}},
	{"GO-2023-2153", "google.golang.org/grpc", []osv.Event{{Introduced: "0"}, {Fixed: "1.56.3"}, {Introduced: "1.57.0"}, {Fixed: "1.57.1"}, {Introduced: "1.58.0"}, {Fixed: "1.58.3"}}},
	{"GO-2024-2978", "google.golang.org/grpc", []osv.Event{{Introduced: "1.64.0"}, {Fixed: "1.64.1"}}},
	{"GO-2026-4762", "google.golang.org/grpc", []osv.Event{{Introduced: "0"}, {Fixed: "1.79.3"}}},
	{"GO-2026-6061", "google.golang.org/grpc", []osv.Event{{Introduced: "0"}, {Fixed: "1.82.1"}}},
	{"GO-2023-1631", "google.golang.org/protobuf", []osv.Event{{Introduced: "1.29.0"}, {Fixed: "1.29.1"}}},
	{"GO-2024-2611", "google.golang.org/protobuf", []osv.Event{{Introduced: "0"}, {Fixed: "1.33.0"}}},
	{"GO-2022-0603", "gopkg.in/yaml.v3", []osv.Event{{Introduced: "0"}, {Fixed: "3.0.0-20220521103104-8f96da9f5d5e"}}},
	{"GO-2024-2748", "k8s.io/apimachinery", []osv.Event{{Introduced: "0"}, {Fixed: "0.16.13"}, {Introduced: "0.17.0"}, {Fixed: "0.17.9"}, {Introduced: "0.18.0"}, {Fixed: "0.18.7-rc.0"}}},
}
