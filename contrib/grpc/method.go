package redoubtgrpc

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// ReadOnly returns a function for Client.Idempotent that reports true for the
// given methods, such as "/shop.Stock/Get". A name that ends in "/*" stands for
// all methods of a service.
func ReadOnly(methods ...string) func(method string) bool {
	set := make(map[string]bool, len(methods))
	for _, m := range methods {
		set[m] = true
	}
	return func(method string) bool {
		return set[method] || set[method[:strings.LastIndexByte(method, '/')+1]+"*"]
	}
}

// Declared reports whether the .proto file of a method declares it as
// idempotent, by the option idempotency_level with the value NO_SIDE_EFFECTS or
// IDEMPOTENT. The program must contain the generated code of the file.
func Declared(method string) bool {
	service, name, ok := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if !ok {
		return false
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	if err != nil {
		return false
	}
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return false
	}
	o, _ := m.Options().(*descriptorpb.MethodOptions)
	return o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
