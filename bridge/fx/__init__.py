"""Sources of rates of exchange: the reference rates of the European Central Bank, fixed rates from a file, and both.

What a rate is and how it is used says `exchange.fx`; a source is anything with the one method of `RateSource` there.
Nothing here asks the network, the ledger or the chain.
"""
