// The byte form of the messages between peers that carry traces: the part of codec.cpp for
// TraceAsked and TraceHeard.
#pragma once

#include "node/ports.hpp"

namespace vesper::node {

void write(const TraceAsked& m, ByteWriter& w);
void write(const TraceHeard& m, ByteWriter& w);

// These make the reader fail if the message is malformed or a number is out of range.
void read(ByteReader& r, TraceAsked& m);
void read(ByteReader& r, TraceHeard& m);

}  // namespace vesper::node
