def locked_out(): pass
