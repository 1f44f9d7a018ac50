module runnel_peers

go 1.19
