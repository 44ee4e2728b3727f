from services.card_provider.app import main

main()
