// Encodes and decodes the messages between peers about what administrators ask for: the part of
// codec.cpp for TransferAsked, TransferRefused, MembersAsked, MembersReply, ClusterAsked and
// ClusterReply.
#pragma once

#include "node/ports.hpp"

namespace vesper::node {

void write(const TransferAsked& m, ByteWriter& w);
void write(const TransferRefused& m, ByteWriter& w);
void write(const MembersAsked& m, ByteWriter& w);
void write(const MembersReply& m, ByteWriter& w);
void write(const ClusterAsked& m, ByteWriter& w);
void write(const ClusterReply& m, ByteWriter& w);

// These make the reader fail if the message is malformed or a number is out of range.
void read(ByteReader& r, TransferAsked& m);
void read(ByteReader& r, TransferRefused& m);
void read(ByteReader& r, MembersAsked& m);
void read(ByteReader& r, MembersReply& m);
void read(ByteReader& r, ClusterAsked& m);
void read(ByteReader& r, ClusterReply& m);

}  // namespace vesper::node
