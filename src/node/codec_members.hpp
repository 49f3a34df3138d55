// Encodes and decodes the messages between peers that concern the members: the part of codec.cpp
// for MembersAsked, MembersReply, ClusterAsked and ClusterReply.
#pragma once

#include "node/ports.hpp"

namespace vesper::node {

void write(const MembersAsked& m, ByteWriter& w);
void write(const MembersReply& m, ByteWriter& w);
void write(const ClusterAsked& m, ByteWriter& w);
void write(const ClusterReply& m, ByteWriter& w);

// These make the reader fail if the message is malformed or a number is out of range.
void read(ByteReader& r, MembersAsked& m);
void read(ByteReader& r, MembersReply& m);
void read(ByteReader& r, ClusterAsked& m);
void read(ByteReader& r, ClusterReply& m);

}  // namespace vesper::node
